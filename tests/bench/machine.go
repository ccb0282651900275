package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A machine describes where a figure was measured; without it the figure says
// nothing.
type machine struct {
	when    time.Time
	cores   int
	cpu     string
	memory  string
	kernel  string
	golang  string
	rabbit  string
	commit  string // short, with a plus if the tree has changes
	command string
}

func describeMachine() machine {
	m := machine{when: time.Now(), cores: runtime.NumCPU(), golang: runtime.Version(),
		kernel: said("uname", "-sr"), commit: said("git", "rev-parse", "--short", "HEAD"),
		rabbit:  said("dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"),
		command: commandLine(os.Args[1:])}
	// Pages do not count, because the page of the run before may not be committed
	// yet.
	if said("git", "status", "--porcelain", "--untracked-files=no", "--", "../..", ":!../../docs/bench") != "" {
		m.commit += "+"
	}
	m.cpu = field("/proc/cpuinfo", "model name")
	m.memory = field("/proc/meminfo", "MemTotal")
	return m
}

// commandLine is what to type to repeat the run, with quotes where a shell needs
// them.
func commandLine(args []string) string {
	line := "go run ."
	for _, arg := range args {
		if strings.ContainsAny(arg, " |&;<>()$`\\\"'*?[]#~{}") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		line += " " + arg
	}
	return line
}

// said returns what a command prints, or "" if it cannot run.
func said(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// field returns the first "name: value" of a file under /proc.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// lines returns the machine as rows of a table.
func (m machine) lines() [][2]string {
	return [][2]string{
		{"date", m.when.UTC().Format("2006-01-02 15:04 UTC")},
		{"commit", m.commit},
		{"command", "`" + m.command + "` in tests/bench"},
		{"CPU", fmt.Sprintf("%s, %d cores", m.cpu, m.cores)},
		{"memory", m.memory},
		{"kernel", m.kernel},
		{"Go", m.golang},
		{"RabbitMQ", m.rabbit},
	}
}
