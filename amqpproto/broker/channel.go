package broker

// channel is one open channel of a connection.
type channel struct {
	conn   *Conn
	number uint16
}

// ready tells a queue whether c may get a message now: prefetch of consumer and
// channel, channel.flow, and the connection's unsent output allow it. After false
// the queue hears kick when that may have changed.
func (ch *channel) ready(c *consumer) bool { return false }

// deliver sends an entry that the queue has taken out for c. Unless c.noAck, the
// channel gives it back with settle, requeue or reject; with it, the channel
// settles it at once.
func (ch *channel) deliver(c *consumer, e entry) {}

// cancelled tells that the queue has ended c: it was deleted. The queue has
// forgotten c already.
func (ch *channel) cancelled(c *consumer) {}
