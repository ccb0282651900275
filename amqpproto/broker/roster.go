package broker

// roster has consumers in the order in which they came. One that leaves makes a hole, because
// moving all later ones each time would take long: there may be very many.
type roster struct {
	list      []*consumer // nil = the consumer has left
	n         int         // number of consumers
	head      int         // there is none before it
	ofChannel bool        // otherwise it belongs to a queue
	walking   bool        // places stay as they are
}

// place is the position of c plus one; 0 = it is not in the roster.
func (r *roster) place(c *consumer) *int {
	if r.ofChannel {
		return &c.inChannel
	}
	return &c.inQueue
}

func (r *roster) add(c *consumer) {
	r.list = append(r.list, c)
	*r.place(c) = len(r.list)
	r.n++
}

// remove removes c, and returns false if it was not in the roster.
func (r *roster) remove(c *consumer) bool {
	at := r.place(c)
	i := *at - 1
	if i < 0 || i >= len(r.list) || r.list[i] != c {
		return false
	}
	r.list[i], *at = nil, 0
	r.n--
	for r.head < len(r.list) && r.list[r.head] == nil {
		r.head++
	}
	const few = 16
	if holes := len(r.list) - r.n; !r.walking && holes > few && holes > r.n {
		r.squeeze()
	}
	return true
}

func (r *roster) squeeze() {
	kept := r.list[:0]
	for _, c := range r.list {
		if c != nil {
			kept = append(kept, c)
			*r.place(c) = len(kept)
		}
	}
	clear(r.list[len(kept):])
	r.list, r.head = kept, 0
}

// first returns the oldest consumer; nil if there is none.
func (r *roster) first() *consumer {
	if r.n == 0 {
		return nil
	}
	return r.list[r.head]
}

// walk calls fn with all of them. Some may leave during the walk.
func (r *roster) walk(fn func(c *consumer)) {
	was := r.walking
	r.walking = true
	for i := 0; i < len(r.list); i++ {
		if c := r.list[i]; c != nil {
			fn(c)
		}
	}
	r.walking = was
}

// take returns all consumers, and empties the roster.
func (r *roster) take() (all []*consumer) {
	for _, c := range r.list {
		if c != nil {
			*r.place(c) = 0
			all = append(all, c)
		}
	}
	r.list, r.n, r.head = nil, 0, 0
	return all
}
