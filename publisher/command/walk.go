package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto/client"
)

// walk goes through a queue from its head. It takes messages by basic.get. At its end, the
// messages that were kept go back to their places. All of it is for the loop's thread.
type walk struct {
	s     *session
	queue string
	left  int // gets that may still be sent
	asked int // gets without an answer yet
	busy  int // messages that are being worked on
	seen  int
	empty bool // the queue has no more
	each  func(*taken)
	kept  int    // messages to put back
	epoch uint32 // epoch of the last message
	err   error
	done  func(error)
	over  bool

	before    int // messages in the queue before the walk
	consumers int // consumers of the queue before the walk
	put       int // messages that were put back
	target    int // messages in the queue when all are back
}

// mark identifies a delivery.
type mark struct {
	acknowledger *client.Acknowledger
	epoch        uint32
	tag          uint64
}

// taken is a message that a walk holds. Other consumers do not get it meanwhile.
type taken struct {
	*message
	delivery *client.Delivery // valid until each returns: its raw properties
	walk     *walk
	mark     mark
}

// walkAhead is how many messages a walk holds at a time: the client holds unconfirmed
// publishes up to publish_max.
const walkAhead = 32

// errNotBack is the error of a walk that has done its work, but not all messages that it put
// back are in the queue again.
var errNotBack = errors.New("messages that were put back are not there")

// walk calls each with up to n messages of a queue, on the loop's thread, and returns when
// all of them are done, or when ctx or the connection has ended. each calls keep, ack or
// publish. Neither function is called after walk has returned.
func (s *session) walk(ctx context.Context, queue string, n int, each func(*taken)) error {
	before, consumers, err := s.info(ctx, queue)
	if err != nil {
		return err
	}
	w := &walk{s: s, queue: queue, left: n, each: each, before: before, consumers: consumers}
	err = s.await(ctx, func(done func(error)) {
		w.done = done
		w.on()
	})
	if err != nil {
		s.cut(w)
		return err
	}
	if w.put > 0 {
		err = s.settle(ctx, w)
	}
	return err
}

// cut ends a walk from outside of the loop's thread. What is not settled goes back when
// the session's connection ends.
func (s *session) cut(w *walk) {
	over := make(chan struct{})
	s.Loop.Post(func() {
		w.over = true
		close(over)
	})
	select {
	case <-over:
	case <-s.ended:
	}
}

// settle waits until the broker has put the messages back, so that the next command finds
// them, or until there are consumers that take them. It has to wait because a broker may
// confirm the end of a channel or connection before that. settle gives up when the queue has
// not grown for the session's timeout.
func (s *session) settle(ctx context.Context, w *walk) error {
	most, grown := -1, time.Now()
	for {
		n, consumers, err := s.info(ctx, w.queue)
		if err != nil || n >= w.target || min(consumers, w.consumers) > 0 {
			return err
		}
		if n > most {
			most, grown = n, time.Now()
		}
		if time.Since(grown) > s.timeout {
			if consumers > 0 {
				return nil // consumers have come in the meantime, and take the messages
			}
			return fmt.Errorf("queue %q: %w: %d of %d, and it has not grown for %s (--timeout): others took them, they expired or a limit of the queue removed them, or the broker is not done yet: count them again with zamqp dead list",
				w.queue, errNotBack, min(w.target-n, w.put), w.put, s.timeout)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *walk) on() {
	if w.over {
		return
	}
	for w.left > 0 && w.asked+w.busy < walkAhead && !w.empty && w.err == nil {
		if err := w.s.Client.Get(w.queue, false, w.got); err != nil {
			w.err = err
			break
		}
		w.left--
		w.asked++
	}
	if w.asked > 0 || w.busy > 0 {
		return
	}
	w.over = true
	w.putBack()
}

// putBack ends the walk. It puts all kept messages back to the queue in one operation.
// Before that it asks how many messages are there, so that settle knows how many there
// must be. After an error they go back when the session's connection ends.
//
// A classic queue gets them back soonest if their channel ends. RabbitMQ counts that towards
// the delivery limit of a quorum queue, even from 4.3 on, where it does not count a nack. It
// is a quorum queue if the unsettled gets count as its consumers.
func (w *walk) putBack() {
	if w.kept == 0 || w.err != nil {
		w.done(w.err)
		return
	}
	end := func(err error) {
		if err != nil {
			err = fmt.Errorf("queue %q: %w", w.queue, err)
		}
		w.done(err)
	}
	err := w.s.Client.QueueInfo(w.queue, func(messages, consumers uint32, err error) {
		if err == nil {
			w.put = w.kept
			if w.target = int(messages) + w.put; !w.s.Client.HasArguments() {
				// This is not RabbitMQ: Qpid also counts unsettled messages.
				w.target = w.before - (w.seen - w.put)
			}
			if int(consumers) > w.consumers {
				err = w.s.Client.NackGets(w.queue)
			} else {
				err = w.s.Client.CloseGets(w.queue)
			}
		}
		end(err)
	})
	if err != nil {
		end(err)
	}
}

func (w *walk) got(d *client.Delivery, err error) {
	w.asked--
	switch {
	case w.over:
	case err != nil:
		if w.err == nil {
			w.err = fmt.Errorf("queue %q: %w", w.queue, err)
		}
	case d == nil:
		w.empty = true
	default:
		w.seen++
		m := deliveredMessage(d, time.Now())
		m.Position = w.seen
		if w.epoch != d.Epoch {
			w.epoch, w.kept = d.Epoch, 0 // the end of their channel puts them back
		}
		t := &taken{message: m, delivery: d, walk: w, mark: mark{d.Acknowledger, d.Epoch, d.Tag}}
		if w.err != nil {
			t.keep()
		} else {
			w.each(t)
		}
	}
	w.on()
}

// stop ends the walk early.
func (w *walk) stop() { w.left = 0 }

// keep leaves the message in its queue.
func (t *taken) keep() { t.walk.kept++ }

// ack removes the message from its queue for good.
func (t *taken) ack() { t.mark.acknowledger.Ack(t.mark.epoch, t.mark.tag) }

// publish sends the message to another queue. When the broker has confirmed that, the
// message leaves its own queue; after an error it stays. told is called with the outcome,
// if the walk is not over by then.
func (t *taken) publish(o *client.Outgoing, told func(error)) {
	w := t.walk
	w.busy++
	end := func(err error) {
		w.busy--
		if err == nil {
			t.ack()
		} else {
			t.keep()
		}
		if w.over {
			return
		}
		told(err)
		w.on()
	}
	if err := w.s.Client.Publish(nil, o, confirmed(end)); err != nil {
		end(err)
	}
}

// info returns how many messages wait in a queue, and how many consumers it has.
func (s *session) info(ctx context.Context, queue string) (messages, consumers int, err error) {
	err = s.do(ctx, "queue.declare", func(done func(error)) {
		err := s.Client.QueueInfo(queue, func(m, c uint32, err error) {
			messages, consumers = int(m), int(c)
			done(err)
		})
		if err != nil {
			done(err)
		}
	})
	if err != nil {
		return 0, 0, fmt.Errorf("queue %q: %w", queue, err)
	}
	return messages, consumers, nil
}
