package app

import (
	"os"
	"runtime/debug"

	"zamqp/publisher/config"

	"github.com/rs/zerolog"
)

// limitGo sets Go's memory limit, unless the environment has set one. Then the collector
// works harder before the process uses more memory than there is. Messages of the embedded
// broker are outside of Go's memory.
func limitGo(s *config.Settings, embedded bool, log zerolog.Logger) {
	limit, source := config.MemoryLimit()
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
	e.Str("GOMEMLIMIT", (forGo / config.MiB * config.MiB).String()).Msg("memory")
}

// goShare returns nine tenths of the memory that messages leave, but at least a quarter of
// all memory: with a limit that is far too low, the collector would run all the time.
func goShare(limit, messages config.Size, embedded bool) config.Size {
	rest := limit
	if embedded {
		rest -= min(messages, limit)
	}
	return max(rest*9/10, limit/4)
}
