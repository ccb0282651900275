package client

import (
	"zamqp/amqpproto"
)

// trust is what is known of exchanges. A publish to one that does not exist ends
// its channel, so those that nothing here declares have a channel of their own:
// the doubtful one. With Config.TxSelect there is one channel for all, as a
// transaction is of one channel.
type trust struct {
	last       string            // that was trusted, mostly the next one as well
	declared   map[string]string // by a producer or consumer; the key once more
	confirmed  map[string]string // the broker has confirmed a publish to it on this connection
	distrusted map[string]bool   // the broker has closed a channel over it on this connection
}

// confirmedMax bounds the exchanges that are known by use only.
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

// reset forgets what was found out on the connection before.
func (t *trust) reset() { *t = trust{declared: t.declared} }

func (t *trust) has(exchange string) bool {
	if exchange == t.last && !t.distrusted[exchange] {
		return true
	}
	// The name may be lent: only our own copy is kept.
	for _, known := range [...]map[string]string{t.declared, predeclared, t.confirmed} {
		if own, is := known[exchange]; is && !t.distrusted[exchange] {
			t.last = own
			return true
		}
	}
	return false
}

// distrust takes an exchange out, until the next connection.
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

// lane is the channel for a publish that check has just passed. It is opened if
// need be.
func (c *Client) lane(o *Outgoing) *publishChannel {
	if c.cfg.TxSelect || c.trust.has(o.Exchange) && !c.isForeign() {
		return c.pub
	}
	if c.isolated.state == publishAwaitConnection && c.isOpen() {
		c.isolated.start()
	}
	return c.isolated
}

// isForeign tells whether what check has just passed has a user id that is not the
// login's.
func (c *Client) isForeign() bool {
	return c.props.Has(amqpproto.FlagUserID) && !c.isLogin(c.props.UserID)
}

// isLogin tells whether a user id is that of the login, as RabbitMQ wants it. The
// broker alone knows whether another is allowed, as for an impersonator, and which
// user a certificate stands for.
func (c *Client) isLogin(user []byte) bool {
	return c.cfg.Mechanism != mechanismExternal && string(user) == c.cfg.Username
}

// trustConfirmed notes that an exchange exists, as the broker has confirmed a publish or
// request to it. It moves to the other channels at a moment at which nothing of the
// doubtful ones is under way, so that the order stays.
func (c *Client) trustConfirmed(exchange string) {
	p, t := c.isolated, &c.trust
	idle := p.state == publishAwaitConnection && c.waiting.len() == 0 // it was never needed
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

// mayLeave tells that a publish can be encoded now.
func (c *Client) mayLeave() bool {
	for _, p := range [...]*publishChannel{c.pub, c.isolated} {
		if p.clear() && c.waiting.moving() || p.resend.ready() && p.usable() {
			return true
		}
	}
	return false
}
