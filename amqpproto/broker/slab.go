package broker

import "unsafe"

// slabs hold the messages themselves, the part with a fixed size. The garbage collector would
// visit each of a million separate Go objects. A message keeps its address as long as it
// exists, and its id says where it is.
type slabs struct {
	allocate func(int) []byte
	give     func([]byte)
	all      []slab
	roomy    []uint32 // numbers of slabs with free places; the last one is used next
	idle     int      // slabs with memory and without entries; one is kept
}

// slab is a run of messages. Freed places form a list, linked by their offset fields.
type slab struct {
	mem      []byte    // memory of the messages; nil = none yet, or given back
	messages []message // mem
	fresh    uint32    // entries from here on have never been used
	free     uint32    // index of the first in the list, plus one
	live     uint32
}

const (
	slabBits     = 14
	slabMessages = 1 << slabBits
	messageSize  = int(unsafe.Sizeof(message{}))
)

// take returns a message that has only its id.
func (l *slabs) take() *message {
	if len(l.roomy) == 0 {
		l.all = append(l.all, slab{})
		l.roomy = append(l.roomy, uint32(len(l.all)-1))
	}
	number := l.roomy[len(l.roomy)-1]
	s := &l.all[number]
	if s.messages == nil {
		s.mem = l.allocate(slabMessages * messageSize)
		// A message has no pointers, so it may be in any memory; what allocate returns is
		// aligned for it.
		l.idle++
		s.messages = unsafe.Slice((*message)(unsafe.Pointer(unsafe.SliceData(s.mem))), slabMessages)
	}
	var i uint32
	if s.free != 0 {
		i = s.free - 1
		s.free = s.messages[i].offset
	} else {
		i = s.fresh
		s.fresh++
	}
	if s.live == 0 {
		l.idle--
	}
	s.live++
	if s.free == 0 && s.fresh == slabMessages {
		l.roomy = l.roomy[:len(l.roomy)-1]
	}
	m := &s.messages[i]
	*m = message{id: number<<slabBits | i}
	return m
}

// put frees a message.
func (l *slabs) put(m *message) {
	number, i := m.id>>slabBits, m.id&(slabMessages-1)
	s := &l.all[number]
	if s.free == 0 && s.fresh == slabMessages {
		l.roomy = append(l.roomy, number)
	}
	m.offset, m.refs = s.free, 0
	s.free = i + 1
	s.live--
	if s.live > 0 {
		return
	}
	if l.idle++; l.idle > 1 {
		l.idle--
		l.give(s.mem)
		*s = slab{} // it stays among the roomy ones, for when it is needed again
	}
}

// at returns the message of an id; nil if its slab has been given back, because nobody can
// have that id now.
func (l *slabs) at(id uint32) *message {
	messages := l.all[id>>slabBits].messages
	if messages == nil {
		return nil
	}
	return &messages[id&(slabMessages-1)]
}
