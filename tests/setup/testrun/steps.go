package main

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// steps in the order of their cost, so that cheap findings come first. Parts of
// other steps run only when asked for. kill, chaos, sql and shop start brokers of their own
// and mostly wait, so they run at the same time as the steps after them. brokers
// waits for them, because it lets messages expire on two brokers at once, and a
// busy machine would show a difference.
var steps = []step{
	{name: "gofmt", what: "every Go file is formatted", run: gofmt},
	{name: "vet", what: "go vet, also with the loopdebug tag and in the other modules", run: vet},
	{name: "static", what: "staticcheck", run: static},
	{name: "gen", what: "go generate changes nothing", run: gen},
	{name: "cross", what: "builds and vets for darwin and freebsd", run: cross},
	{name: "vuln", what: "govulncheck", run: vuln},
	{name: "unit", what: "all tests but interop", run: unit},
	{name: "tidy", what: "arrows, names, lengths (a part of unit)", run: tidy, part: true},
	{name: "short", what: "unit tests that need no broker (a part of unit)", run: short, part: true},
	{name: "race", what: "the same under the race detector", run: race},
	{name: "loopdebug", what: "the same with lent buffers poisoned", run: loopdebug},
	{name: "fuzz", what: "every fuzz target for some seconds", run: fuzz},
	{name: "kill", what: "kill -9 of the embedded broker at work, again and again", run: kill, beside: true},
	{name: "chaos", what: "a bad network; brokers and servers that are killed, frozen and replaced under load", run: chaos, beside: true},
	{name: "sql", what: "calls with the transaction of a database, on SQLite and PostgreSQL", run: databases, beside: true},
	{name: "shop", what: "the tutorial: its tests, and its server killed while customers order", run: shop, beside: true},
	{name: "interop", what: "the built binary with RabbitMQ and other people's clients", run: interop},
	{name: "amqp091", what: "amqp091-go's own integration tests on both", run: amqp091},
	{name: "middleware", what: "other people's routers, middleware and WebSocket libraries, under net/http and under ours", run: middleware},
	{name: "brokers", what: "random programs on RabbitMQ and on the embedded broker", run: brokers, alone: true},
	{name: "bench", what: "the benchmark with small numbers", run: bench, alone: true},
}

// apart are the packages of tests that have steps of their own.
var apart = []string{"/tests/interop", "/tests/differential", "/tests/durability"}

// command runs a tool and returns everything it printed. No step reads standard
// input.
func command(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// check is a step of one command, which passes or fails as a whole.
func (o *outcome) check(dir string, env []string, name string, args ...string) {
	out, err := command(dir, env, name, args...)
	if err != nil {
		o.fail("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		return
	}
	o.passed++
}

// tool finds a program that tests/setup/install puts into bin.
func tool(name string) (path string, ok bool) {
	path, _ = filepath.Abs(filepath.Join("bin", name))
	_, err := os.Stat(path)
	return path, err == nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// modules lists the modules below tests and handlers. Their requirements stay out of the
// server's own go.mod.
func modules() []string {
	var dirs []string
	for _, pattern := range []string{"tests/*/go.mod", "handlers/*/go.mod"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			dirs = append(dirs, filepath.Dir(f))
		}
	}
	return dirs
}

func gofmt() *outcome {
	o := &outcome{}
	files := sourceFiles(".go")
	out, err := command(".", nil, "gofmt", append([]string{"-l"}, files...)...)
	switch {
	case err != nil:
		o.fail("gofmt: %v\n%s", err, out)
	case out != "":
		o.fail("run gofmt -w on:\n%s", out)
	default:
		o.passed++
	}
	return o
}

// sourceFiles lists the files with this ending, except those that git ignores.
func sourceFiles(ending string) []string {
	var files []string
	_ = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "tmp") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ending) {
			files = append(files, path)
		}
		return nil
	})
	return files
}

func vet() *outcome {
	o := &outcome{}
	o.check(".", nil, "go", "vet", "./...")
	o.check(".", nil, "go", "vet", "-tags", "loopdebug", "./...")
	for _, dir := range modules() {
		o.check(dir, nil, "go", "vet", "./...")
	}
	return o
}

func static() *outcome {
	o := &outcome{}
	path, ok := tool("staticcheck")
	if !ok {
		o.skip("staticcheck is not in bin; run tests/setup/install")
		return o
	}
	o.check(".", nil, path, "./...")
	for _, dir := range modules() {
		o.check(dir, nil, path, "./...")
	}
	return o
}

// gen runs the generators and compares the generated files before and after. It
// keeps the new files, because they have to be committed.
func gen() *outcome {
	o := &outcome{}
	sums := func() map[string][32]byte {
		m := map[string][32]byte{}
		for _, f := range append(sourceFiles("_gen.go"), sourceFiles("_gen_test.go")...) {
			src, _ := os.ReadFile(f)
			m[f] = sha256.Sum256(src)
		}
		return m
	}
	before := sums()
	if out, err := command(".", nil, "go", "generate", "./..."); err != nil {
		o.fail("go generate: %v\n%s", err, out)
		return o
	}
	after := sums()
	var changed []string
	for f, sum := range after {
		if before[f] != sum {
			changed = append(changed, f)
		}
	}
	slices.Sort(changed)
	if len(changed) > 0 {
		o.fail("go generate changed what is checked in; look at the difference and commit it:\n%s", strings.Join(changed, "\n"))
		return o
	}
	o.passed++
	return o
}

func cross() *outcome {
	o := &outcome{}
	for _, target := range []string{"darwin/arm64", "freebsd/amd64"} {
		system, arch, _ := strings.Cut(target, "/")
		env := []string{"GOOS=" + system, "GOARCH=" + arch, "CGO_ENABLED=0"}
		o.check(".", env, "go", "build", "./...")
		o.check(".", env, "go", "vet", "./...")
	}
	return o
}

// vuln fails on findings of govulncheck. If the database cannot be reached, it says
// so in capitals, because nothing was checked.
func vuln() *outcome {
	o := &outcome{}
	path, ok := tool("govulncheck")
	if !ok {
		o.skip("govulncheck is not in bin; run tests/setup/install")
		return o
	}
	out, err := command(".", nil, path, "./...")
	var exit *exec.ExitError
	switch {
	case err == nil:
		o.passed++
	case errors.As(err, &exit) && exit.ExitCode() == 3:
		o.fail("govulncheck found vulnerabilities:\n%s", out)
	case strings.Contains(out, "fetching vulnerabilities"):
		o.skip("VULNERABILITIES WERE NOT CHECKED: the database cannot be reached (%s)", strings.TrimSpace(out))
	default:
		o.fail("govulncheck: %v\n%s", err, out)
	}
	return o
}

// packages lists the module's packages except those named.
func packages(o *outcome, without ...string) []string {
	out, err := command(".", nil, "go", "list", "./...")
	if err != nil {
		o.fail("go list: %v\n%s", err, out)
		return nil
	}
	var pkgs []string
	for _, p := range strings.Fields(out) {
		if !slices.ContainsFunc(without, func(w string) bool { return strings.HasSuffix(p, w) }) {
			pkgs = append(pkgs, p)
		}
	}
	return pkgs
}

func unit() *outcome {
	o := &outcome{}
	if pkgs := packages(o, apart...); pkgs != nil {
		o.add(goTest(".", nil, append([]string{"-timeout", "15m"}, pkgs...)...))
	}
	return o
}

// unrepeated are the packages whose tests gain nothing from another build: they
// test the tree, or other programs.
var unrepeated = append([]string{"/tests/kit/rabbitmq", "/tests/kit/embedded", "/tests/crash", "/tests/spool", "/tests/qpid", "/tests/tidy"}, apart...)

// race is the only step that needs cgo.
func race() *outcome {
	o := &outcome{}
	if _, err := exec.LookPath("gcc"); err != nil {
		o.skip("the race detector needs a C compiler and its headers: apt-get install gcc libc6-dev")
		return o
	}
	if pkgs := packages(o, unrepeated...); pkgs != nil {
		o.add(goTest(".", []string{"CGO_ENABLED=1"}, append([]string{"-race", "-timeout", "15m"}, pkgs...)...))
	}
	return o
}

func loopdebug() *outcome {
	o := &outcome{}
	if pkgs := packages(o, unrepeated...); pkgs != nil {
		o.add(goTest(".", nil, append([]string{"-tags", "loopdebug", "-timeout", "15m"}, pkgs...)...))
	}
	return o
}

func interop() *outcome {
	return goTest(".", nil, "-timeout", "20m", "./tests/interop")
}

func chaos() *outcome {
	return goTest("tests/chaos", nil, "-timeout", "15m", "./...")
}

func brokers() *outcome {
	return goTest(".", nil, "-timeout", "20m", "./tests/differential", "-programs", "1000")
}

func amqp091() *outcome { return goTest("tests/amqp091", nil, "-timeout", "10m", ".") }

func databases() *outcome { return goTest("tests/sql", nil, "-timeout", "10m", "./...") }

func middleware() *outcome {
	return goTest("tests/middleware", nil, "-timeout", "10m", ".")
}

func shop() *outcome { return goTest("handlers/shop", nil, "-timeout", "10m", ".") }

func kill() *outcome { return goTest(".", nil, "-timeout", "15m", "./tests/durability") }

func bench() *outcome {
	o := &outcome{}
	if !exists("tests/bench/go.mod") {
		o.skip("there is no tests/bench")
		return o
	}
	o.check("tests/bench", nil, "go", "run", ".", "-smoke")
	return o
}

func tidy() *outcome { return goTest(".", nil, "./tests/tidy") }

func short() *outcome {
	o := &outcome{}
	if pkgs := packages(o, unrepeated...); pkgs != nil {
		o.add(goTest(".", nil, append([]string{"-short", "-timeout", "5m"}, pkgs...)...))
	}
	return o
}
