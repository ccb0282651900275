package doortest

import "sync"

// pieces is message memory of brokers whose tests are over, by size. The next
// brokers use it again: calls that wait for ever keep their brokers, one for each
// step of a story.
var pieces = struct {
	sync.Mutex
	free map[int][][]byte
}{free: map[int][][]byte{}}

// memory counts what one broker has taken.
type memory struct{ taken map[*byte][]byte }

func (m *memory) allocate(n int) []byte {
	pieces.Lock()
	defer pieces.Unlock()
	var b []byte
	if list := pieces.free[n]; len(list) > 0 {
		b, pieces.free[n] = list[len(list)-1], list[:len(list)-1]
	} else {
		b = make([]byte, n)
	}
	m.taken[&b[0]] = b
	return b
}

func (m *memory) release(b []byte) {
	pieces.Lock()
	defer pieces.Unlock()
	delete(m.taken, &b[:1][0])
	pieces.free[cap(b)] = append(pieces.free[cap(b)], b[:cap(b)])
}

// end gives back what the broker still has. The broker must not be used afterwards.
func (m *memory) end() {
	for _, b := range m.taken {
		m.release(b)
	}
}
