package broker

// consumer is a basic.consume. The channel fills in the fields down to args
// before queue.consume.
type consumer struct {
	tag       string
	ch        *channel
	conn      *Conn
	queue     *queue
	noAck     bool
	exclusive bool
	priority  int32  // x-priority
	prefetch  uint16 // the channel's at basic.consume; 0 = no limit
	unacked   int    // the channel's count
	active    bool   // false while another is the single active consumer
}

// consume adds c. The error is 403 for exclusive use, 405 for another's queue.
// Deliveries begin inside kick, so that consume-ok goes out first: call
// q.kick(c) after it.
func (q *queue) consume(c *consumer) error { return nil }

// cancel takes c away; its unacked messages stay with the channel. The last
// consumer of an auto-delete queue deletes it.
func (q *queue) cancel(c *consumer) {}

// kick says that c may be ready again (credit came back, output drained, flow
// was turned on): deliver what can be delivered.
func (q *queue) kick(c *consumer) {}

// deliveryCount is x-delivery-count of a quorum queue's redelivery: n is to be
// put into the headers of this delivery if ok.
func (q *queue) deliveryCount(e entry) (n uint32, ok bool) { return 0, false }
