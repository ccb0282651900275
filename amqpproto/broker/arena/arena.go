// Package arena holds the octets of messages outside of the reach of the garbage
// collector.
package arena

import "encoding/binary"

// Arena holds the octets of messages in large chunks. A message's octets are one record. A
// chunk whose records are all gone is used again, or given back. Nothing in it has Go
// pointers. So the garbage collector sees a few large blocks, or none at all if they come
// from outside of its heap.
//
//	record: message id (4) | size of the record (4) | octets, padded to 8
//
// The id is for compact, which has to find the owner of a record that it moves.
type Arena struct {
	allocate func(int) []byte
	give     func([]byte)

	chunks  []chunk
	unused  []uint32 // numbers of chunks without memory
	spare   [][]byte // memory of emptied chunks, of ChunkSize
	current uint32   // the chunk to which records are appended
	size    int64    // octets of all chunks with memory, spare ones included
	live    int64    // octets of records in use
	cursor  int      // where compact continues
}

// chunk is a piece of memory, filled from its start.
type chunk struct {
	mem   []byte
	used  int   // octets that are in use or were
	live  int   // octets of records in use
	holds int32 // number of holders of the large body that the chunk has
	whole bool  // the body has arrived, and counts as the others do
}

const (
	ChunkSize    = 1 << 20       // size of a chunk that many records share
	chunkAlone   = ChunkSize / 4 // a record of at least this size has its own chunk
	chunkSpares  = 4             // emptied chunks that are kept
	recordPrefix = 8
	noChunk      = ^uint32(0)

	// compact does nothing for an arena that wastes less than this.
	compactSlack = 8 << 20
)

// Init must be called first. allocate makes the memory of chunks, and give takes it back.
func (a *Arena) Init(allocate func(int) []byte, give func([]byte)) {
	a.allocate, a.give, a.current = allocate, give, noChunk
}

// Size returns the octets of all chunks with memory, Live those of records in use.
func (a *Arena) Size() int64 { return a.size }
func (a *Arena) Live() int64 { return a.live }

// RecordSize returns how much a record of n octets takes.
func RecordSize(n int) int { return (recordPrefix + n + 7) &^ 7 }

// Add makes room for n octets of message id, and returns where they are.
func (a *Arena) Add(id uint32, n int) (number, offset uint32, octets []byte) {
	size := RecordSize(n)
	if size >= chunkAlone {
		number = a.open(size)
	} else {
		if a.current == noChunk || len(a.chunks[a.current].mem)-a.chunks[a.current].used < size {
			a.current = a.open(ChunkSize)
		}
		number = a.current
	}
	c := &a.chunks[number]
	at := c.used
	c.used += size
	c.live += size
	a.live += int64(size)
	binary.LittleEndian.PutUint32(c.mem[at:], id)
	binary.LittleEndian.PutUint32(c.mem[at+4:], uint32(size))
	at += recordPrefix
	return number, uint32(at), c.mem[at : at+n : at+n]
}

// open makes a chunk of size octets. A current one that it replaces may be empty
// by now, or becomes so later; either way nothing appends to it any more.
func (a *Arena) open(size int) uint32 {
	if size == ChunkSize && a.current != noChunk {
		if old := &a.chunks[a.current]; old.live == 0 {
			a.close(a.current)
		}
	}
	var mem []byte
	if n := len(a.spare); n > 0 && size == ChunkSize {
		mem, a.spare = a.spare[n-1], a.spare[:n-1]
	} else {
		mem = a.allocate(size)
		a.size += int64(len(mem))
	}
	c := chunk{mem: mem}
	if n := len(a.unused); n > 0 {
		number := a.unused[n-1]
		a.unused = a.unused[:n-1]
		a.chunks[number] = c
		return number
	}
	a.chunks = append(a.chunks, c)
	return uint32(len(a.chunks) - 1)
}

// close takes the memory of an empty chunk away.
func (a *Arena) close(number uint32) {
	if c := &a.chunks[number]; len(c.mem) == ChunkSize && len(a.spare) < chunkSpares {
		a.spare = append(a.spare, c.mem)
		a.size += int64(len(c.mem))
		a.detach(number)
	} else {
		a.give(a.detach(number))
	}
	if a.current == number {
		a.current = noChunk
	}
}

// detach removes a chunk and returns its memory.
func (a *Arena) detach(number uint32) []byte {
	c := &a.chunks[number]
	mem := c.mem
	a.size -= int64(len(mem))
	*c = chunk{}
	a.unused = append(a.unused, number)
	return mem
}

// Remove frees a record of n octets.
func (a *Arena) Remove(number uint32, n int) {
	size := RecordSize(n)
	c := &a.chunks[number]
	c.live -= size
	a.live -= int64(size)
	switch {
	case c.live > 0:
	case number == a.current:
		c.used = 0 // the usual case of a queue that is kept empty: the same few octets are used again and again
	default:
		a.close(number)
	}
}

// Octets returns the n octets of a record.
func (a *Arena) Octets(number, offset uint32, n int) []byte {
	return a.chunks[number].mem[offset : offset+uint32(n) : offset+uint32(n)]
}

// Wasteful reports whether Compact would free memory. Without it, one message in each
// thousand that stays would hold the memory of all that are gone.
func (a *Arena) Wasteful() bool { return a.size-a.live > compactSlack && a.size > 2*a.live }

// Compact moves records out of chunks that are mostly empty, about budget octets of them, and
// tells moved the new place of each. It returns whether there is more to do. Views of
// messages are invalid afterwards.
func (a *Arena) Compact(budget int, moved func(id, number, offset uint32)) (more bool) {
	for range a.chunks {
		if !a.Wasteful() {
			return false
		}
		if budget <= 0 {
			return true
		}
		a.cursor++
		if a.cursor >= len(a.chunks) {
			a.cursor = 0
		}
		c := &a.chunks[a.cursor]
		if uint32(a.cursor) == a.current || len(c.mem) != ChunkSize || c.live > ChunkSize/2 {
			continue
		}
		budget -= ChunkSize/16 + c.live // checking it costs something, too
		a.evacuate(uint32(a.cursor), moved)
	}
	return false
}

// evacuate moves all records of a chunk, which closes it.
func (a *Arena) evacuate(number uint32, moved func(id, number, offset uint32)) {
	from := a.chunks[number] // a copy: add may move the slice of chunks
	for at := 0; at < from.used && a.chunks[number].mem != nil; {
		id := binary.LittleEndian.Uint32(from.mem[at:])
		size := int(binary.LittleEndian.Uint32(from.mem[at+4:]))
		moved(id, number, uint32(at+recordPrefix))
		at += size
	}
}
