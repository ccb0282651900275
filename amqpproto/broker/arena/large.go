package arena

// Large names a large body, which has a chunk of its own: the number of the chunk,
// plus one. 0 is none.
type Large uint32

// OpenLarge makes room for a body of more than ChunkSize octets. The caller holds
// it.
func (a *Arena) OpenLarge(size int) (Large, []byte) {
	number := a.open(RecordSize(size)) // over ChunkSize, so that no other body goes into this chunk
	c := &a.chunks[number]
	c.used, c.live, c.holds = len(c.mem), len(c.mem), 1
	a.live += int64(c.live)
	return Large(number + 1), c.mem[:size:size]
}

// LargeOctets returns the n octets of a large body.
func (a *Arena) LargeOctets(l Large, n uint32) []byte { return a.chunks[l-1].mem[:n:n] }

// Complete marks a large body as complete. The first call returns how many octets
// the body takes; later calls return 0.
func (a *Arena) Complete(l Large) int64 {
	c := &a.chunks[l-1]
	if c.whole {
		return 0
	}
	c.whole = true
	return int64(c.live)
}

// Hold adds a holder.
func (a *Arena) Hold(l Large) { a.chunks[l-1].holds++ }

// Drop removes a holder. When the last one drops it, Drop returns the memory, which
// the caller has to free, and what Complete has returned.
func (a *Arena) Drop(l Large) (mem []byte, counted int64) {
	c := &a.chunks[l-1]
	if c.holds--; c.holds > 0 {
		return nil, 0
	}
	if c.whole {
		counted = int64(c.live)
	}
	a.live -= int64(c.live)
	return a.detach(uint32(l - 1)), counted
}
