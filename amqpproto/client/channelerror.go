package client

import (
	"slices"
	"strconv"
	"strings"

	"zamqp/amqpproto"
)

// errorSubject is what the broker's words say about the publish for which it
// closed the channel. The error has no number of a publish, but nearly always
// names something of it. The words are RabbitMQ's; where others are used nobody
// is accused, and the guilty one is found by sending them in smaller numbers.
type errorSubject struct {
	kind  subjectKind
	name  string // of the exchange, the user, or the value
	topic string // with an exchange, the routing key that is not allowed
	size  int    // of the body
	limit int    // that it is over
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

// accuse reads the text of the error.
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

// defaultExchange is how RabbitMQ names the one without a name.
const defaultExchange = "amq.default"

// fits tells whether it is about this publish.
func (a *errorSubject) matches(o *Outgoing) bool {
	switch a.kind {
	case subjectExchange:
		return a.isExchange(o)
	case subjectTopic:
		return a.isExchange(o) && o.RoutingKey == a.topic
	case subjectSize:
		return len(o.Body) == a.size
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

// learn keeps what the error says about publishes to come.
func (c *Client) learn(a *errorSubject) {
	switch a.kind {
	case subjectExchange:
		c.trust.distrust(a.name)
	case subjectSize:
		c.bodyLimit = a.limit
	}
}

// judge takes all publishes off a channel that the broker has closed. The guilty
// ones are returned, and those that cannot be sent again as they have taken back
// what they lent; to sends the others again. The broker handles publishes in
// their order: what is behind the first guilty one was ignored for certain, and
// what is ahead may have been taken, though no confirm came.
func (p *publishChannel) resendAfter(cause error, to *publishChannel) (failed, gone []entry) {
	held := p.confirms.take()
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
	sent := len(held) // the others had not left again
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
		first = 0 // there is only one that it can be
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

// joins tells whether both are the same publish, or of the same transaction.
func (e *entry) joins(other *entry) bool {
	return e == other || e.out.Group != nil && e.out.Group == other.out.Group
}

// sentence divides publishes, the order of each kept. Besides the first guilty
// one those behind it are guilty that the error fits as well, and with a guilty
// one all of its transaction.
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

// alive takes out those that cannot be sent again: whose time was over before, as
// they have been told, and those that are gone.
func (c *Client) alive(list []entry) (alive, gone []entry) {
	for i := range list {
		e := &list[i]
		switch {
		case e.over:
			c.unhold(e.size)
		case isGone(e.done):
			gone = append(gone, *e)
		default:
			e.returned = nil // the second copy may find a queue
			alive = append(alive, *e)
		}
	}
	return alive, gone
}
