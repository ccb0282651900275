package client

import "zamqp/amqpproto"

// UpdateSecret replaces the password for later connects. If there is a connection, it
// also tells the broker (connection.update-secret), so that an expired token does not
// end it. The outcome is an event: EventSecretUpdated, or EventLost if the broker
// refuses it. The broker is not told if the secret has not changed.
func (c *Client) UpdateSecret(secret string) {
	c.cfg.Password = secret
	if c.isOpen() {
		c.conn.updateSecret()
		c.wake()
	}
}

// updateSecret sends the password to the broker if it has changed.
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

// onSecretUpdated handles connection.update-secret-ok.
func (c *Conn) onSecretUpdated(id amqpproto.MethodID) error {
	if c.updates == 0 {
		return unexpected(c.state, id)
	}
	c.updates--
	c.client.note(Event{Kind: EventSecretUpdated})
	return nil
}
