package broker

// exchange routes messages. Fields are those of exchangeSpec.
type exchange struct {
	vhost *vhost
	exchangeSpec
}

// binding binds a queue or an exchange to a source exchange.
type binding struct {
	source *exchange
	queue  *queue    // one of the two
	target *exchange // one of the two
	key    string
	args   []byte // encoded table, "" if none
}
