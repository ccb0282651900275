package command

import (
	"context"
	"fmt"
	"time"

	"zamqp/amqpproto/client"
)

// walk goes through a queue from its head. It takes messages by basic.get. At its end, the
// messages that were kept go back to their places. All of it is for the loop's thread.
type walk struct {
	s     *session
	queue string
	left  int // gets that may still be asked
	asked int // and have no answer yet
	busy  int // messages that are worked on
	seen  int
	empty bool // the queue has no more
	each  func(*taken)
	kept  []mark
	err   error
	done  func(error)
	over  bool
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
	delivery *client.Delivery // lent, until each returns: its raw properties
	walk     *walk
	mark     mark
}

// walkAhead is how many messages a walk holds at a time: the client holds unconfirmed
// publishes up to publish_max.
const walkAhead = 32

// walk calls each with up to n messages of a queue, on the loop's thread, and returns when
// all of them are done. each calls keep, ack or publish.
func (s *session) walk(ctx context.Context, queue string, n int, each func(*taken)) error {
	w := &walk{s: s, queue: queue, left: n, each: each}
	err := s.await(ctx, func(done func(error)) {
		w.done = done
		w.on()
	})
	if err == nil && len(w.kept) > 0 {
		err = s.settle(ctx, queue, len(w.kept))
	}
	return err
}

// settle waits until the broker has put messages back, so that the next command finds
// them, or until there are consumers that take them. A broker may close a connection
// before it has put them back.
func (s *session) settle(ctx context.Context, queue string, kept int) error {
	for range 100 {
		n, consumers, err := s.info(ctx, queue)
		if err != nil || n >= kept || consumers > 0 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil // somebody else takes them
}

func (w *walk) on() {
	for w.left > 0 && w.asked+w.busy < walkAhead && !w.empty && w.err == nil {
		if err := w.s.Client.Get(w.queue, false, w.got); err != nil {
			w.err = err
			break
		}
		w.left--
		w.asked++
	}
	if w.asked > 0 || w.busy > 0 || w.over {
		return
	}
	w.over = true
	for _, m := range w.kept {
		m.acknowledger.Nack(m.epoch, m.tag, true)
	}
	w.done(w.err)
}

func (w *walk) got(d *client.Delivery, err error) {
	w.asked--
	switch {
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
func (t *taken) keep() { t.walk.kept = append(t.walk.kept, t.mark) }

// ack takes the message out of its queue for good.
func (t *taken) ack() { t.mark.acknowledger.Ack(t.mark.epoch, t.mark.tag) }

// publish sends the message to another queue. When the broker has confirmed that, the
// message leaves its own queue; after an error it stays. told is called with the outcome.
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
		told(err)
		w.on()
	}
	if err := w.s.Client.Publish(nil, o, confirmed(end)); err != nil {
		end(err)
	}
}

// info is how many messages wait in a queue, and how many consumers it has.
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
