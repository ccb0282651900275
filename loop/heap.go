package loop

import "math"

// entry is one deadline, of a timer or of a connection. Exactly one of t and c is set.
type entry struct {
	when int64  // ns after Loop.base
	seq  uint64 // order of equal times
	t    *Timer
	c    *Conn
}

// heap holds all deadlines of a loop, the earliest on top. Each entry has four children, next to
// each other in memory, so it is half as deep as a binary heap. Every entry's owner knows its
// place, so moving or removing an entry needs no search.
type heap struct {
	e   []entry
	seq uint64
}

func (h *heap) next() (when int64, ok bool) {
	if len(h.e) == 0 {
		return math.MaxInt64, false
	}
	return h.e[0].when, true
}

func (h *heap) due(at int64) bool { return len(h.e) > 0 && h.e[0].when <= at }

func (e *entry) less(f *entry) bool {
	return e.when < f.when || e.when == f.when && e.seq < f.seq
}

// place puts e at i and tells its owner. Owners count from one, so that zero means "not in the heap".
func (h *heap) place(i int, e entry) {
	h.e[i] = e
	if e.c != nil {
		e.c.heapAt = int32(i + 1)
	} else {
		e.t.heapAt = int32(i + 1)
	}
}

func (h *heap) push(e entry) {
	h.seq++
	e.seq = h.seq
	h.e = append(h.e, e)
	h.up(len(h.e)-1, e)
}

// move changes the time of the entry at i.
func (h *heap) move(i int, when int64) {
	e := h.e[i]
	later := when > e.when
	h.seq++
	e.when, e.seq = when, h.seq
	if later {
		h.down(i, e)
	} else {
		h.up(i, e)
	}
}

func (h *heap) remove(i int) {
	old := h.e[i]
	if old.c != nil {
		old.c.heapAt = 0
	} else {
		old.t.heapAt = 0
	}
	last := len(h.e) - 1
	e := h.e[last]
	h.e[last] = entry{}
	h.e = h.e[:last]
	if i == last {
		return
	}
	if e.less(&old) {
		h.up(i, e)
	} else {
		h.down(i, e)
	}
}

func (h *heap) up(i int, e entry) {
	for i > 0 {
		parent := (i - 1) / 4
		if !e.less(&h.e[parent]) {
			break
		}
		h.place(i, h.e[parent])
		i = parent
	}
	h.place(i, e)
}

func (h *heap) down(i int, e entry) {
	for {
		child := 4*i + 1
		if child >= len(h.e) {
			break
		}
		least := child
		for k := child + 1; k < child+4 && k < len(h.e); k++ {
			if h.e[k].less(&h.e[least]) {
				least = k
			}
		}
		if !h.e[least].less(&e) {
			break
		}
		h.place(i, h.e[least])
		i = least
	}
	h.place(i, e)
}
