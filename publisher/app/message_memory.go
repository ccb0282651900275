package app

import "golang.org/x/sys/unix"

// messageMemory gives the broker memory from outside of Go's heap. There the garbage
// collector does not have to scan a million messages, or leave as much room again for
// garbage.
type messageMemory struct {
	mapped int64 // octets that are allocated now
}

// allocate returns n zero octets. If the system gives no more, they come from Go's heap,
// which may end the process.
func (m *messageMemory) allocate(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	m.mapped += int64(n)
	return b
}

// free takes back a whole slice of allocate. Munmap refuses a slice from Go's heap, which is
// left to the garbage collector.
func (m *messageMemory) free(b []byte) {
	if unix.Munmap(b) == nil {
		m.mapped -= int64(len(b))
	}
}

// discard gives the pages of a part of such a slice back to the system. They read as zero
// from then on.
func (m *messageMemory) discard(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) }
