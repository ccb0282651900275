package publisher

import (
	"fmt"

	"zamqp/amqpproto"
)

// A Queue is a queue of a broker. A handler can ask for its length and get messages from it, one at
// a time.
type Queue struct {
	r          *Request
	name       string
	connection string
}

// Queues gives access to the queues of one connection. Doors implement it. Unless an error is
// returned, done is called once, later, on the loop's thread.
type Queues interface {
	QueueInfo(queue string, done func(messages, consumers int, err error)) error
	// Get takes one message, or nil from an empty queue. The message stays unacked until
	// settle is called, which is safe after the connection has ended.
	Get(queue string, done func(d *Delivery, settle func(ack bool), err error)) error
}

// BindQueues gives the server the queues of a connection; a door calls it.
func (s *Server) BindQueues(connection string, q Queues) { s.queues[connection] = q }

// Queue returns the queue of that name, on the connection "default"; see [Queue.On]. It declares
// nothing and does not ask the broker yet.
func (r *Request) Queue(name string) *Queue {
	return &Queue{r: r, name: name, connection: DefaultConnection}
}

// On returns the queue of the same name on another connection.
func (q *Queue) On(connection string) *Queue {
	return &Queue{r: q.r, name: q.name, connection: connection}
}

func (q *Queue) fail(what string, err error) error {
	return fmt.Errorf("%s queue %s: %w", what, q.name, err)
}

func (q *Queue) of(r *Request) (Queues, error) {
	if err := r.open(); err != nil {
		return nil, err
	}
	name, err := r.serving().expand(q.name)
	if err != nil {
		return nil, err
	}
	q.name = name
	if found := r.server.queues[q.connection]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("%w: the connection %q is not set up", ErrUnavailable, q.connection)
}

// Len returns the number of messages that wait in the queue, without messages in hand. It asks the
// broker by a passive declare while the call waits. It creates nothing; a queue that does not
// exist is an error.
func (q *Queue) Len() (messages int, err error) {
	messages, _, err = q.info()
	return messages, err
}

// Consumers returns the number of the queue's consumers; see [Queue.Len].
func (q *Queue) Consumers() (consumers int, err error) {
	_, consumers, err = q.info()
	return consumers, err
}

func (q *Queue) info() (messages, consumers int, err error) {
	err = q.r.await(func(r *Request, w *pause) error {
		queues, err := q.of(r)
		if err != nil {
			return err
		}
		return unavailable(queues.QueueInfo(q.name, func(m, c int, err error) {
			messages, consumers = m, c
			w.end(unavailable(err))
		}))
	})
	if err != nil {
		return 0, 0, q.fail("look at", err)
	}
	return messages, consumers, nil
}

// Get takes one message from the queue (basic.get), as a part of the call's transaction. The message
// is acked when the transaction commits, and goes back when it aborts. nil means that the queue
// is empty. The message is a copy; [DecodeDelivery] reads it.
func (q *Queue) Get() (*Delivery, error) {
	if q.r.socket != nil && q.r.usable() == nil {
		q.r.awaitCommit()
	}
	var got *Delivery
	err := q.r.await(func(r *Request, w *pause) error {
		queues, err := q.of(r)
		if err != nil {
			return err
		}
		return unavailable(queues.Get(q.name, func(d *Delivery, settle func(bool), err error) {
			if w.over && settle != nil { // nobody waits any more
				settle(false)
				return
			}
			if got = d; settle != nil {
				r.tx.gets = append(r.tx.gets, settle)
			}
			w.end(unavailable(err))
		}))
	})
	if err != nil {
		return nil, q.fail("get from", err)
	}
	return got, nil
}

// DecodeDelivery fills v from the body of a message that [Queue.Get] returned. A body
// over a MiB is decoded on another goroutine while the call waits, as by
// [Request.Decode].
func DecodeDelivery(d *Delivery, v any) error {
	if len(d.Body) <= amqpproto.LargeBody && d.ContentEncoding == "" && d.Headers[compressionHeader] == nil {
		return decode(d.ContentType, "", nil, d.Body, 0, v)
	}
	return callHere().decode(d.ContentType, d.ContentEncoding, d.Headers, d.Body, 0, v)
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// settleGets settles the messages that the transaction has got from queues.
func (t *Tx) settleGets(ack bool) {
	for _, settle := range t.gets {
		settle(ack)
	}
	clear(t.gets)
	t.gets = t.gets[:0]
}
