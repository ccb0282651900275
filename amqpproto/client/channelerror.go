package client

import (
	"slices"
	"strconv"
	"strings"

	"zamqp/amqpproto"
)

// errorSubject is what the text of a channel error says about the publish that
// caused it. The error carries no publish number, but its text nearly always names
// the exchange, the user or a value. The texts are RabbitMQ's. If the text is
// another one, the subject is unknown, and the failed publish is found by resending
// the publishes in small windows.
type errorSubject struct {
	kind  subjectKind
	name  string // the name of the exchange or user, or the value itself
	topic string // the forbidden routing key; only with an exchange
	size  int    // size of the body
	limit int    // the largest size that the broker takes
}

type subjectKind uint8

const (
	subjectUnknown subjectKind = iota
	subjectExchange
	subjectTopic
	subjectUser
	subjectSize
	subjectExpiration
)

// subjectOf parses the text of the error.
func subjectOf(ce *amqpproto.ChannelError) errorSubject {
	text := ce.Text
	between := func(before, behind string) (string, bool) {
		_, rest, found := strings.Cut(text, before)
		i := strings.Index(rest, behind)
		if !found || i < 0 {
			return "", false
		}
		return rest[:i], true
	}
	switch ce.Code {
	case amqpproto.NotFound, amqpproto.AccessRefused:
		name, found := between("exchange '", "' in vhost '")
		if !found {
			break
		}
		if topic, is := between("topic '", "' in exchange '"); is {
			return errorSubject{kind: subjectTopic, name: name, topic: topic}
		}
		return errorSubject{kind: subjectExchange, name: name}
	case amqpproto.PreconditionFailed:
		if user, found := between("user_id property set to '", "' but "); found {
			return errorSubject{kind: subjectUser, name: user}
		}
		if value, found := between("invalid expiration '", "'"); found {
			return errorSubject{kind: subjectExpiration, name: value}
		}
		if number, found := between("message size ", " "); found {
			size, err := strconv.Atoi(number)
			if err == nil {
				_, limit, _ := strings.Cut(text, "max size ")
				most, _ := strconv.Atoi(limit)
				return errorSubject{kind: subjectSize, size: size, limit: most}
			}
		}
	}
	return errorSubject{}
}

// defaultExchange is RabbitMQ's name for the default exchange in error texts.
const defaultExchange = "amq.default"

// matches reports whether the error can be about this publish.
func (a *errorSubject) matches(o *Outgoing) bool {
	switch a.kind {
	case subjectExchange:
		return a.isExchange(o)
	case subjectTopic:
		return a.isExchange(o) && o.RoutingKey == a.topic
	case subjectSize:
		return o.bodySize() == a.size
	case subjectUser, subjectExpiration:
		var p amqpproto.Properties
		if len(o.RawProperties) == 0 {
			return false
		}
		if _, err := p.Decode(o.RawProperties); err != nil {
			return false
		}
		if a.kind == subjectUser {
			return p.Has(amqpproto.FlagUserID) && string(p.UserID) == a.name
		}
		return p.Has(amqpproto.FlagExpiration) && string(p.Expiration) == a.name
	}
	return false
}

func (a *errorSubject) isExchange(o *Outgoing) bool {
	return o.Exchange == a.name || o.Exchange == "" && a.name == defaultExchange
}

// learn remembers what the error says about later publishes.
func (c *Client) learn(a *errorSubject) {
	switch a.kind {
	case subjectExchange:
		c.trust.distrust(a.name)
	case subjectSize:
		c.bodyLimit = a.limit
	}
}

// resendAfter takes all publishes from a channel that the broker has closed. It
// returns the failed ones, and the ones that are gone: their lenders took the
// content back, so they cannot be resent. All others are resent over channel to.
// The broker handles publishes in order. So it has ignored everything after the
// first failed publish, but it may have taken those before it, even without a
// confirm.
func (p *publishChannel) resendAfter(cause error, to *publishChannel) (failed, gone []entry) {
	held := p.take()
	c := p.client
	ce, is := isChannelError(cause)
	if !is {
		return held, nil
	}
	a := subjectOf(ce)
	c.learn(&a)
	if c.cfg.NoConfirms || c.cfg.TxSelect && ce.Method == amqpproto.IDTxCommit {
		return held, nil
	}
	sent := len(held) // the ones appended below were still waiting to be resent
	if p == to {
		held = append(held, p.resend.take()...)
	}
	for i := range held {
		if isGone(held[i].done) {
			held[i].out = Outgoing{}
		}
	}
	first := slices.IndexFunc(held[:sent], func(e entry) bool { return a.matches(&e.out) })
	if first < 0 && sent > 0 && held[0].joins(&held[sent-1]) {
		first = 0 // there is only one candidate
	}
	window := max(windowNamed, first)
	if first < 0 {
		first, window = sent, 1
	}
	for i := range held[:first] {
		held[i].indeterminate = !c.cfg.TxSelect
	}
	failed, held = splitFailed(held, first, sent, &a)
	held, gone = c.alive(held)
	to.resend.put(held, window)
	c.rearm = true
	return failed, gone
}

// joins reports whether both are the same publish, or belong to the same transaction.
func (e *entry) joins(other *entry) bool {
	return e == other || e.out.Group != nil && e.out.Group == other.out.Group
}

// splitFailed splits the publishes into failed ones and the rest, and keeps the
// order of both. The publish at first has failed. Later publishes that the error
// matches have failed too, and so has every publish in the transaction of a failed
// one.
func splitFailed(held []entry, first, sent int, a *errorSubject) (failed, rest []entry) {
	if first >= sent {
		return nil, held
	}
	groups := map[any]bool{}
	is := func(i int) bool { return i == first || i > first && a.matches(&held[i].out) }
	for i := range held {
		if g := held[i].out.Group; g != nil && is(i) {
			groups[g] = true
		}
	}
	for i := range held {
		if g := held[i].out.Group; is(i) || g != nil && groups[g] {
			failed = append(failed, held[i])
		} else {
			rest = append(rest, held[i])
		}
	}
	return failed, rest
}

// alive removes the entries that cannot be resent: those that have already been
// told of a timeout, and those that are gone.
func (c *Client) alive(list []entry) (alive, gone []entry) {
	for i := range list {
		e := &list[i]
		switch {
		case e.over:
			c.unhold(e.size)
		case isGone(e.done):
			gone = append(gone, *e)
		default:
			e.returned = nil // the second copy may reach a queue
			alive = append(alive, *e)
		}
	}
	return alive, gone
}
