package broker

// list is a list of things that are in it by a node of their own, so that one can
// be taken out of the middle, and nothing is allocated.
type list[T any] struct {
	first, last *node[T]
	n           int
}

// node is a thing's place in a list. Its zero value is in none.
type node[T any] struct {
	in         *list[T] // nil = none
	thing      *T
	next, prev *node[T]
}

// push adds a thing at the end. It must not be in a list by this node.
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

// head is the first thing; nil if there is none.
func (l *list[T]) head() *T { return l.first.get() }

// after is the thing behind this one; nil if there is none.
func (n *node[T]) after() *T { return n.next.get() }

func (n *node[T]) get() *T {
	if n == nil {
		return nil
	}
	return n.thing
}

// remove takes the thing out of the list, if it is in one.
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
