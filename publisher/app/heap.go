package app

import (
	"os"

	"zamqp/publisher/config"
)

// heapFloor is the ballast of the heap. The collector runs when the heap has
// doubled. For the few MiB of a server that would be many times a second, and with
// several processors each run wakes other threads. With the ballast the collector
// runs after each 32 MiB of garbage. Nothing touches the ballast, so it takes
// addresses but no memory; the garbage takes memory.
const heapFloor = 32 * config.MiB

var ballast []byte

// floorHeap allocates the ballast, a smaller one where memory is short, and returns
// its size. If the environment tunes the collector, it does nothing. limit is the
// memory of the machine; 0 = not known.
func floorHeap(limit config.Size) config.Size {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	size := config.Size(heapFloor)
	if limit > 0 {
		size = min(size, limit/16)
	}
	if ballast == nil {
		ballast = make([]byte, size)
	}
	return config.Size(len(ballast))
}
