package client

import (
	"cmp"
	"slices"
)

// brokerHas records that the broker has the request: it has confirmed the request,
// or the reply has come. The request is never resent after this.
func (t *requestChannel) brokerHas(id RequestID) {
	k := t.find(id)
	if k == nil || k.via != t || k.received {
		return
	}
	k.received = true
	t.open--
	if t == t.isolated && !k.foreign && t.open == 0 {
		t.client.trustConfirmed(k.outgoing().Exchange)
	}
	k.request.out, k.copied = Outgoing{}, k.copied.emptied()
}

// settleEnded settles the requests of a channel that has ended. Only the failed
// requests get the broker's error. The broker handles requests in order, so it has
// ignored those after the failed one, and they are resent. Those before it may have
// been handled, and their replies are lost with the channel. They end with an
// error, because a second copy might be handled as well. With a reply queue they
// keep waiting, because that queue outlives the channel.
func (t *requestChannel) settleEnded(cause error) {
	sent := t.underWay()
	var a errorSubject
	if ce, is := isChannelError(cause); is {
		a = subjectOf(ce)
	}
	first, last := -1, -1
	for i, id := range sent {
		k := t.find(id)
		if o := k.outgoing(); !k.received && a.matches(&o) {
			if last = i; first < 0 {
				first = i
			}
		}
	}
	behind := first
	if a.kind == subjectExchange && t.client.trust.has(a.name) {
		behind = last // the exchange existed until just now, so the first ones may have been handled
	}
	lost := &ReplyLostError{Connection: t.client.cfg.Name}
	if first < 0 {
		behind, lost.Cause = len(sent), cause // any of them may have failed, and any may have been handled
	}
	t.client.learn(&a)
	t.learn(&a)
	t.open = 0
	var failed, over, resend []RequestID
	waits := false
	for i, id := range sent {
		k := t.find(id)
		o := k.outgoing()
		received := k.received
		k.received = true
		switch {
		case first >= 0 && !received && a.matches(&o):
			failed = append(failed, id)
		case i > behind && !received:
			resend = append(resend, id)
			k.request.out, k.via = o.kept(), nil
		case t.owned && first >= 0 && (received || i < first):
			waits = true
		default:
			over = append(over, id)
		}
	}
	t.waiting = slices.Concat(resend, t.waiting[t.left:])
	t.left, t.woken = 0, true
	t.requests.start()
	if waits {
		t.start()
	}
	for _, id := range failed {
		t.end(id, nil, cause)
	}
	for _, id := range over {
		t.end(id, nil, lost)
	}
}

// learn remembers what the error says about later requests.
func (t *requests) learn(a *errorSubject) {
	switch {
	case a.kind == subjectUser:
		t.foreignRefused = true
	case a.kind == subjectExchange && len(t.refused) < confirmedMax:
		if t.refused == nil {
			t.refused = map[string]bool{}
		}
		t.refused[a.name] = true
	}
}

// underWay returns the requests that were sent over this channel, in the order of
// sending.
func (t *requestChannel) underWay() (sent []RequestID) {
	for slot := range t.slots {
		if k := &t.slots[slot]; k.reply != nil && k.via == t {
			sent = append(sent, t.id(uint32(slot)))
		}
	}
	slices.SortFunc(sent, func(a, b RequestID) int { return cmp.Compare(t.find(a).order, t.find(b).order) })
	return sent
}
