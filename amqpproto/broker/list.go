package broker

// list is a linked list. Each thing brings its own node, so that it can be removed
// from the middle, and nothing is allocated.
type list[T any] struct {
	first, last *node[T]
	n           int
}

// node is a thing's place in a list. The zero value is in no list.
type node[T any] struct {
	in         *list[T] // nil = in no list
	thing      *T
	next, prev *node[T]
}

// push adds a thing at the end. Its node must not be in a list.
func (l *list[T]) push(n *node[T], thing *T) {
	*n = node[T]{in: l, thing: thing, prev: l.last}
	if l.last != nil {
		l.last.next = n
	} else {
		l.first = n
	}
	l.last = n
	l.n++
}

// head returns the first thing, or nil if the list is empty.
func (l *list[T]) head() *T { return l.first.get() }

// after returns the thing after this one, or nil if this is the last.
func (n *node[T]) after() *T { return n.next.get() }

func (n *node[T]) get() *T {
	if n == nil {
		return nil
	}
	return n.thing
}

// remove removes the thing from the list if it is in one.
func (n *node[T]) remove() {
	l := n.in
	if l == nil {
		return
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.last = n.prev
	}
	*n = node[T]{}
	l.n--
}
