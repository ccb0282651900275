package config

import (
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// machine is the file system with the files that say how much memory there is.
var machine fs.FS = os.DirFS("/")

// MemoryLimit returns how much memory this process may use, in octets, and what limits it:
// the machine or a control group. It is 0 if the system does not say.
func MemoryLimit() (limit Size, source string) { return memoryLimit(machine) }

// memoryLimit returns the smallest of the machine's memory and the limits of the process's
// control groups, version 2 and 1.
func memoryLimit(root fs.FS) (limit Size, source string) {
	lower := func(n Size, from string) {
		if n > 0 && (limit == 0 || n < limit) {
			limit, source = n, from
		}
	}
	for line := range strings.Lines(readText(root, "proc/meminfo")) {
		if text, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 54)
			lower(Size(n)*KiB, "machine")
		}
	}
	for line := range strings.Lines(readText(root, "proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(parts) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		if parts[0] != "0" {
			if parts[1] != "memory" {
				continue
			}
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// Each group above is a limit as well. In a container the path may be one of the
		// host; the top is then the container's own group.
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			n, _ := strconv.ParseInt(strings.TrimSpace(readText(root, path.Join(mount, group, file))), 10, 64) // "max" is none
			lower(Size(n), "control group")
			if group == "/" {
				break
			}
		}
	}
	return limit, source
}

func readText(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(text)
}

// fitMemory lowers those defaults that allow memory to fill up, so that they fit into the
// memory that there is. Keys that are set keep their values.
func (s *Settings) fitMemory(limit Size) {
	if limit == 0 {
		return
	}
	if _, set := s.origins["broker.memory_max"]; !set {
		s.Broker.MemoryMax = max(MiB, min(s.Broker.MemoryMax, limit*2/5))
	}
	if _, set := s.origins["http.bodies_max"]; !set {
		s.HTTP.BodiesMax = max(s.HTTP.BodyMax, min(s.HTTP.BodiesMax, limit/8))
	}
}
