package client

import "zamqp/amqpproto"

// UpdateSecret replaces the password for connects to come and, where there is a
// connection, tells the broker (connection.update-secret), so that a token that
// expires does not end it. The outcome is an event: EventSecretUpdated, or
// EventLost where the broker refuses it. A secret that is in use already is not
// told again.
func (c *Client) UpdateSecret(secret string) {
	c.cfg.Password = secret
	if c.isOpen() {
		c.conn.updateSecret()
		c.wake()
	}
}

// updateSecret tells the broker of a password that is another than it knows.
func (c *Conn) updateSecret() {
	cfg := &c.client.cfg
	if cfg.Password == c.secret || cfg.Mechanism == mechanismExternal {
		return
	}
	err := c.send(0, &amqpproto.ConnectionUpdateSecret{NewSecret: []byte(cfg.Password), Reason: []byte("the password has changed")})
	if err != nil {
		c.abort(err)
		return
	}
	c.secret = cfg.Password
	c.updates++
}

// onSecretUpdated takes the broker's agreement.
func (c *Conn) onSecretUpdated(id amqpproto.MethodID) error {
	if c.updates == 0 {
		return unexpected(c.state, id)
	}
	c.updates--
	c.client.note(Event{Kind: EventSecretUpdated})
	return nil
}
