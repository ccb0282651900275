package broker

// loginCache remembers logins that were good.
type loginCache struct{}
