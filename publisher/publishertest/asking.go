package publishertest

import (
	"errors"
	"time"

	"zamqp/publisher"
)

// Request gives a request to the function of Answer.
func (b sender) Request(p *publisher.Publication, _ time.Duration, done func(*publisher.Answer, error)) (forget func(), err error) {
	request, err := copyOf(p)
	if err != nil {
		return nil, err
	}
	wanted := true
	b.s.todo = append(b.s.todo, func() {
		switch {
		case !wanted:
		case b.s.answer == nil:
			done(nil, errors.New("312 NO_ROUTE: the test has no Answer"))
		default:
			done(b.s.answer(request))
		}
	})
	return func() { wanted = false }, nil
}

// queues holds the queues into which the test has put something.
type queues struct{ s *Server }

var errNoQueue = errors.New("404 NOT_FOUND: the test has put nothing into this queue")

func (q queues) QueueInfo(queue string, done func(messages, consumers int, err error)) error {
	q.s.todo = append(q.s.todo, func() {
		list, there := q.s.queues[queue]
		if !there {
			done(0, 0, errNoQueue)
			return
		}
		done(len(list), 0, nil)
	})
	return nil
}

func (q queues) Get(queue string, done func(d *publisher.Delivery, settle func(ack bool), err error)) error {
	q.s.todo = append(q.s.todo, func() {
		list, there := q.s.queues[queue]
		switch {
		case !there:
			done(nil, nil, errNoQueue)
			return
		case len(list) == 0:
			done(nil, nil, nil)
			return
		}
		p := list[0]
		q.s.queues[queue] = list[1:]
		done(&publisher.Delivery{
			Headers: p.Headers, ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, DeliveryMode: p.DeliveryMode,
			Priority: p.Priority, CorrelationId: p.CorrelationId, ReplyTo: p.ReplyTo, Expiration: p.Expiration, MessageId: p.MessageId,
			Timestamp: p.Timestamp, Type: p.Type, UserId: p.UserId, AppId: p.AppId, RoutingKey: queue, Body: p.Body,
		}, func(ack bool) {
			if !ack {
				q.s.queues[queue] = append([]publisher.Publishing{p}, q.s.queues[queue]...)
			}
		}, nil)
	})
	return nil
}

// pauser is a consumer that can be paused.
type pauser struct{ paused bool }

func (p *pauser) Pause()         { p.paused = true }
func (p *pauser) Resume()        { p.paused = false }
func (p *pauser) IsPaused() bool { return p.paused }
