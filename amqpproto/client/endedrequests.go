package client

import (
	"cmp"
	"slices"
)

// takes notes that the broker has a request for certain, as it has confirmed it
// or the reply is here. It is not sent again from now on.
func (t *requestChannel) takes(id RequestID) {
	k := t.find(id)
	if k == nil || k.via != t || k.taken {
		return
	}
	k.taken = true
	t.open--
	if t == t.doubtful && !k.foreign && t.open == 0 {
		t.client.prove(k.outgoing().Exchange)
	}
	k.request.out, k.copied = Outgoing{}, k.copied.emptied()
}

// judge settles the requests of a channel that has ended. The broker's error is the
// outcome of the guilty ones alone. It handles requests in their order: those
// behind the guilty one were ignored for certain, and are sent again. Those ahead
// of it may have been handled, and their replies are lost with the channel, so
// they end, for a second copy might be handled as well. With a reply queue, which
// outlives the channel, they wait on.
func (t *requestChannel) judge(cause error) {
	sent := t.underWay()
	var a accusation
	if ce, is := isChannelError(cause); is {
		a = accuse(ce)
	}
	first, last := -1, -1
	for i, id := range sent {
		k := t.find(id)
		if o := k.outgoing(); !k.taken && a.fits(&o) {
			if last = i; first < 0 {
				first = i
			}
		}
	}
	behind := first
	if a.kind == accusesExchange && t.client.trust.has(a.name) {
		behind = last // the exchange was there until just now: the first may have been taken
	}
	lost := &ReplyLostError{Connection: t.client.cfg.Name}
	if first < 0 {
		behind, lost.Cause = len(sent), cause // any may be guilty, and any may have been taken
	}
	t.client.learn(&a)
	t.learn(&a)
	t.open = 0
	var guilty, over, again []RequestID
	waits := false
	for i, id := range sent {
		k := t.find(id)
		o := k.outgoing()
		taken := k.taken
		k.taken = true
		switch {
		case first >= 0 && !taken && a.fits(&o):
			guilty = append(guilty, id)
		case i > behind && !taken:
			again = append(again, id)
			k.request.out, k.via = o.kept(), nil
		case t.owned && first >= 0 && (taken || i < first):
			waits = true
		default:
			over = append(over, id)
		}
	}
	t.waiting = slices.Concat(again, t.waiting[t.left:])
	t.left, t.woken = 0, true
	t.requests.start()
	if waits {
		t.start()
	}
	for _, id := range guilty {
		t.end(id, nil, cause)
	}
	for _, id := range over {
		t.end(id, nil, lost)
	}
}

// learn keeps what the error says about requests to come.
func (t *requests) learn(a *accusation) {
	switch {
	case a.kind == accusesUser:
		t.strange = true
	case a.kind == accusesExchange && len(t.refused) < provenMax:
		if t.refused == nil {
			t.refused = map[string]bool{}
		}
		t.refused[a.name] = true
	}
}

// underWay returns the requests that were sent over this channel, in that order.
func (t *requestChannel) underWay() (sent []RequestID) {
	for slot := range t.slots {
		if k := &t.slots[slot]; k.reply != nil && k.via == t {
			sent = append(sent, t.id(uint32(slot)))
		}
	}
	slices.SortFunc(sent, func(a, b RequestID) int { return cmp.Compare(t.find(a).order, t.find(b).order) })
	return sent
}
