package publisher

// What a walk does in one turn of the loop.
const (
	walkLooks = 4096 // elements that it visits
	walkActs  = 256  // of those, elements for which it has done something; then most of the work comes later in the turn
)

// A walk visits all elements of a list, in slices: one a turn. An element may leave the list
// at any time, if the last one takes its place. So the walk goes from the last element to the
// first one, and misses none. It may also visit elements that have come later, and visit one
// twice.
type walk[T any] struct {
	server *Server
	list   *[]T
	left   int                  // how many of the list have not been visited: the first ones
	visit  func(T) (acted bool) // acted: something was done
	over   func()               // called at the end; may be nil
}

// run is one slice.
func (w *walk[T]) run() {
	for looks, acts := walkLooks, walkActs; looks > 0 && acts > 0; looks-- {
		if !w.next(&acts) {
			if w.over != nil {
				w.over()
			}
			return
		}
	}
	w.server.InNextTurn(w.run)
}

// whole is the whole walk at once, for the end of the loop.
func (w *walk[T]) whole() {
	for acts := 0; w.next(&acts); {
	}
}

// next visits the next element. It returns false if there is none.
func (w *walk[T]) next(acts *int) bool {
	list := *w.list
	if w.left = min(w.left, len(list)); w.left == 0 {
		return false
	}
	w.left--
	if w.visit(list[w.left]) {
		*acts--
	}
	return true
}

// eachCall is a walk over the live calls.
func (s *Server) eachCall(visit func(r *Request) (acted bool)) *walk[*Request] {
	return &walk[*Request]{server: s, list: &s.live, left: len(s.live), visit: visit}
}

// eachHijacked is a walk over the connections that handlers have taken over.
func (s *Server) eachHijacked(visit func(h *hijacked) (acted bool)) *walk[*hijacked] {
	return &walk[*hijacked]{server: s, list: &s.hijacked, left: len(s.hijacked), visit: visit}
}
