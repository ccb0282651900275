package client

import "time"

const (
	// turnMax is how long a registration may delay the next ones.
	turnMax = time.Second
	// barrierMax is the longest time that publishes wait for the replay.
	barrierMax = 5 * time.Second
)

// replay declares registrations again after a connect, one after the other, in the
// order of registration. Producers come before consumers, because a consumer may
// bind its queue to an exchange that only a producer declares, while publishes can
// wait. When a registration is declared or has failed, the next one has its turn;
// basic.qos and basic.consume overlap with the next one.
//
// Publishes wait behind a barrier until every registration has had a turn. On a broker that
// has forgotten its queues, the first publishes would otherwise arrive before the queues of
// our own consumers are declared, and be dropped or returned.
//
// There is one barrier for all publishes, not one for each exchange. The client does not know
// which queues a publish needs: bindings between exchanges and alternate exchanges may belong
// to others, so a publish to one exchange may be meant for a queue that our consumer binds to
// another. An earlier declaration of the queue does not help either: an exclusive or
// auto-delete queue ends with its connection, and a broker that was reset has also lost
// durable ones. So a slow registration holds publishes up for turnMax, and all of them
// together for barrierMax. After that publishes are sent, whatever is missing.
type replay struct {
	producers int           // how many of client.producers have had their turn
	consumers int           // the same for consumers
	holder    *registration // the registration whose turn it is
	turn      deadline      // end of the holder's turn
	open      bool          // the barrier is open: publishes may leave
	noted     bool          // EventReady was sent
	barrier   deadline      // when the barrier opens at the latest
}

// advance gives the turn to the next registration, if nobody has it.
func (c *Client) advance() {
	r := &c.replay
	for c.isOpen() && r.holder == nil {
		var s *registration
		switch {
		case r.producers < len(c.producers):
			s = &c.producers[r.producers].registration
			r.producers++
		case r.consumers < len(c.consumers):
			s = &c.consumers[r.consumers].registration
			r.consumers++
		default:
			c.openBarrier()
			return
		}
		if s.state != AwaitConnection {
			continue // it waits for its own retry, or has started already
		}
		r.holder = s
		r.turn.set(turnMax)
		c.rearm = true
		s.start()
	}
}

// handOn is called by a registration that is declared or has failed.
func (c *Client) handOn(s *registration) {
	if c.replay.holder == s {
		c.replay.holder = nil
		c.replay.turn.stop()
		c.advance()
	}
}

// openBarrier lets publishes leave. It stays open for the life of the connection.
func (c *Client) openBarrier() {
	if c.replay.open {
		return
	}
	c.replay.open = true
	c.replay.barrier.stop()
	c.wakeWaiting()
	c.noteReady()
}

func (c *Client) noteReady() {
	if !c.replay.noted && c.Ready() {
		c.replay.noted = true
		c.note(Event{Kind: EventReady})
	}
}

// forget takes a cancelled consumer out of the list.
func (c *Client) forget(k *Consumer) {
	for i, other := range c.consumers {
		if other == k {
			c.consumers = append(c.consumers[:i], c.consumers[i+1:]...)
			if i < c.replay.consumers {
				c.replay.consumers--
			}
			c.handOn(&k.registration)
			return
		}
	}
}
