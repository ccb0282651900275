package app

import (
	"io/fs"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
)

// machine is the file system that tells how much memory there is.
var machine fs.FS = os.DirFS("/")

// memoryLimit is what this process may use, in octets: the smaller of the
// machine's memory and the limits of its control groups, version 2 and 1. It is 0
// where the system does not say.
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
		// Each group above bounds it, too. In a container the path may be one outside
		// of it; the top is then the container's own group.
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

// fitMemory makes the defaults of what may fill memory fit into it. What is set
// stays as it is.
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

// limitGo makes Go's collector work harder rather than let the process grow over
// the memory that there is, unless the environment has a limit for it. Messages of
// the embedded broker are outside of Go's memory.
func limitGo(s *Settings, embedded bool, log zerolog.Logger) {
	limit, source := memoryLimit(machine)
	floor := floorHeap(limit)
	if limit == 0 {
		return
	}
	forGo := goShare(limit, s.Broker.MemoryMax, embedded)
	e := log.Info().Stringer("memory", limit).Str("of", source).Stringer("http.bodies_max", s.HTTP.BodiesMax)
	if embedded {
		e = e.Stringer("broker.memory_max", s.Broker.MemoryMax)
	}
	if own := os.Getenv("GOMEMLIMIT"); own != "" {
		e.Str("GOMEMLIMIT", own).Msg("memory")
		return
	}
	debug.SetMemoryLimit(int64(forGo + floor)) // Go counts the floor, which takes no memory
	e.Str("GOMEMLIMIT", (forGo / MiB * MiB).String()).Msg("memory")
}

// goShare is nine tenths of what the messages leave, and a quarter at least: a
// limit that is far too low would keep the collector running all the time.
func goShare(limit, messages Size, embedded bool) Size {
	rest := limit
	if embedded {
		rest -= min(messages, limit)
	}
	return max(rest*9/10, limit/4)
}
