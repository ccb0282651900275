package app

import "golang.org/x/sys/unix"

// messageMemory gives the broker memory from outside of Go's heap. A million
// messages there are nothing that the garbage collector has to look at, and the
// room that GOGC leaves for garbage is not doubled by them.
type messageMemory struct {
	mapped int64 // octets, now
}

// allocate returns n zero octets. Where the system gives no more it falls back
// to Go's heap, which then ends the process or not by its own rules.
func (m *messageMemory) allocate(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	m.mapped += int64(n)
	return b
}

// free takes back what allocate returned, whole. What came from the heap is
// refused by Munmap and left to the garbage collector.
func (m *messageMemory) free(b []byte) {
	if unix.Munmap(b) == nil {
		m.mapped -= int64(len(b))
	}
}

// discard takes back the pages of a part of what allocate returned. Their octets
// are zero from then on.
func (m *messageMemory) discard(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) }
