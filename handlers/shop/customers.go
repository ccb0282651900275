package shop

import "zamqp/publisher"

// A customer is a table [app.shop.customers.NAME].
type customer struct {
	Password string `key:"password" secret:"all"`
}

// checkPassword returns the customer to whom these credentials belong, or "". A shop with many
// customers would keep hashes in its database, and compare them in r.Offload.
func checkPassword(_ *publisher.Request, user, password string) (string, error) {
	c, known := settings.Customers[user]
	if !known || c.Password == "" || !publisher.SecretsEqual(c.Password, password) {
		return "", nil
	}
	return user, nil
}
