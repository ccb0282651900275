package client

import (
	"zamqp/amqpproto"
)

// trust is what the client knows about exchanges. A publish to an exchange that does not
// exist makes the broker close the channel. So publishes to exchanges that nothing here
// declares use a separate channel, the isolated one. With Config.TxSelect all publishes share
// one channel, because a transaction belongs to one channel.
type trust struct {
	last       string            // the last trusted exchange: usually the next publish uses it too
	declared   map[string]string // declared by a producer or consumer; each key is its own value
	confirmed  map[string]string // the broker has confirmed a publish to it on this connection
	distrusted map[string]bool   // the broker has closed a channel over it on this connection
}

// confirmedMax bounds the exchanges that are known only because a publish to them
// was confirmed.
const confirmedMax = 1024

// predeclared are the exchanges that every broker has. §3.1.3.
var predeclared = map[string]string{"": "", "amq.direct": "amq.direct", "amq.fanout": "amq.fanout", "amq.topic": "amq.topic",
	"amq.headers": "amq.headers", "amq.match": "amq.match"}

// add trusts the exchanges that a topology declares.
func (t *trust) add(topology *Topology) {
	for i := range topology.Exchanges {
		if x := &topology.Exchanges[i]; !x.NoDeclare && x.Name != "" {
			if t.declared == nil {
				t.declared = map[string]string{}
			}
			t.declared[x.Name] = x.Name
		}
	}
}

// reset forgets what was learned on the last connection.
func (t *trust) reset() { *t = trust{declared: t.declared} }

func (t *trust) has(exchange string) bool {
	if exchange == t.last && !t.distrusted[exchange] {
		return true
	}
	// The caller may reuse the memory of the name, so t.last is our own copy.
	for _, known := range [...]map[string]string{t.declared, predeclared, t.confirmed} {
		if own, is := known[exchange]; is && !t.distrusted[exchange] {
			t.last = own
			return true
		}
	}
	return false
}

// distrust stops trusting an exchange until the next connection.
func (t *trust) distrust(exchange string) {
	if !t.has(exchange) {
		return
	}
	if t.distrusted == nil {
		t.distrusted = map[string]bool{}
	}
	t.distrusted[exchange] = true
	t.last = ""
}

// lane returns the channel for a publish that check has just passed, and opens the
// channel if necessary.
func (c *Client) lane(o *Outgoing) *publishChannel {
	if c.cfg.TxSelect || c.trust.has(o.Exchange) && !c.isForeign() {
		return c.pub
	}
	if c.isolated.state == publishAwaitConnection && c.isOpen() {
		c.isolated.start()
	}
	return c.isolated
}

// isForeign reports whether the message that check has just passed has a user id
// other than the login's.
func (c *Client) isForeign() bool {
	return c.props.Has(amqpproto.FlagUserID) && !c.isLogin(c.props.UserID)
}

// isLogin reports whether a user id is that of the login, as RabbitMQ requires.
// Only the broker knows whether it allows another user id (impersonation), and
// which user a certificate belongs to.
func (c *Client) isLogin(user []byte) bool {
	return c.cfg.Mechanism != mechanismExternal && string(user) == c.cfg.Username
}

// trustConfirmed records that an exchange exists, because the broker has confirmed
// a publish or request to it. The exchange moves to the common channels only when
// nothing is under way on the isolated ones, so that the order is kept.
func (c *Client) trustConfirmed(exchange string) {
	p, t := c.isolated, &c.trust
	idle := p.state == publishAwaitConnection && c.waiting.len() == 0 // the isolated channel was never needed
	switch {
	case p.confirms.unsettled > 0 || !idle && !p.clear() || c.waiting.moving():
		return
	case c.requests.isolated.open+c.requests.failing.open > 0 || len(c.requests.waiting) > c.requests.left:
		return
	case t.distrusted[exchange] || len(t.confirmed) >= confirmedMax || t.has(exchange):
		return
	}
	if t.confirmed == nil {
		t.confirmed = map[string]string{}
	}
	own := string([]byte(exchange))
	t.confirmed[own] = own
}

// eachPublishChannel visits all publish channels.
func (c *Client) eachPublishChannel(do func(p *publishChannel)) {
	for _, p := range c.retiring {
		do(p)
	}
	do(c.pub)
	do(c.isolated)
}

// mayLeave reports whether a publish can be encoded now.
func (c *Client) mayLeave() bool {
	for _, p := range [...]*publishChannel{c.pub, c.isolated} {
		if p.clear() && c.waiting.moving() || p.resend.ready() && p.usable() {
			return true
		}
	}
	return false
}
