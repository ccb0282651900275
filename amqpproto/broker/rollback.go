package broker

import "container/heap"

// rollback is a tx.rollback, or the end of a channel in tx mode, in slices. It drops
// publishes and acks, and the deliveries of those acks are unacked again.
type rollback struct {
	ch     *channel
	tx     transaction
	back   byTag   // deliveries that become unacked again
	merged unacked // these and the unacked ones, by tag
	last   func()  // the answer; nil = none
	works  bool    // the connection is not read
	over   bool
}

// rollback begins a rollback; last is called when it is done.
func (ch *channel) rollback(last func()) {
	s := ch.conn.server
	t := ch.takeTx()
	t.last = last
	if units := t.tx.publishes.n*forgetUnits + t.tx.settles.n*requeueUnits; s.afford(units) {
		t.all(s)
		return
	}
	t.works = true
	ch.conn.works++
	ch.chore = t
	s.later(t)
}

// takeTx takes the transaction away from the channel.
func (ch *channel) takeTx() *rollback {
	if ch.tx.held {
		ch.conn.commits--
	}
	t := &rollback{ch: ch, tx: ch.tx}
	ch.tx = transaction{}
	return t
}

// all does everything at once.
func (t *rollback) all(s *Server) {
	for t.tx.publishes.n > 0 {
		s.release(t.tx.publishes.shift().message)
	}
	if t.tx.settles.n > 0 {
		for t.tx.settles.n > 0 {
			heap.Push(&t.back, t.tx.settles.shift().delivery)
		}
		for t.mergeOne() {
		}
	}
	t.end()
}

func (t *rollback) step(s *Server) (done bool) {
	for t.tx.publishes.n > 0 {
		if !s.charge(forgetUnits, 0) {
			return false
		}
		s.release(t.tx.publishes.shift().message)
	}
	for t.tx.settles.n > 0 {
		if !s.charge(requeueUnits, 0) {
			return false
		}
		heap.Push(&t.back, t.tx.settles.shift().delivery)
	}
	for len(t.back) > 0 || t.merged.len() > 0 {
		if !s.charge(requeueUnits, 0) {
			return false
		}
		if !t.mergeOne() {
			break
		}
	}
	if !t.over {
		t.end()
	}
	return true
}

// mergeOne moves the delivery with the lowest tag to merged. New deliveries have
// higher tags. When nothing is left, merged becomes the channel's
// list of unacked deliveries, and it returns false.
func (t *rollback) mergeOne() bool {
	l := &t.ch.unacked
	switch {
	case len(t.back) > 0 && (l.len() == 0 || t.back[0].tag < l.first().tag):
		t.merged.push(heap.Pop(&t.back).(delivery))
	case l.len() > 0:
		t.merged.push(l.shift())
	default:
		*l, t.merged = t.merged, unacked{}
		return false
	}
	return true
}

func (t *rollback) end() {
	t.over, t.back = true, nil
	if t.ch.chore == chore(t) {
		t.ch.chore = nil
	}
	if t.last != nil {
		t.last()
	}
	if t.works {
		t.ch.conn.worked()
		t.ch.conn.server.wakeWaiting()
	}
}

// byTag is a heap of deliveries.
type byTag []delivery

func (h byTag) Len() int           { return len(h) }
func (h byTag) Less(i, j int) bool { return h[i].tag < h[j].tag }
func (h byTag) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byTag) Push(d any)        { *h = append(*h, d.(delivery)) }
func (h *byTag) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = delivery{}
	*h = (*h)[:last]
	return d
}
