package amqpdoor

import (
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// Request sends a request; done gets the reply.
func (s *sender) Request(p *publisher.Publication, timeout time.Duration, done func(*publisher.Answer, error)) (forget func(), err error) {
	s.out = client.Outgoing{
		Exchange: p.Exchange, RoutingKey: p.RoutingKey, Mandatory: p.Mandatory,
		RawProperties: p.RawProperties, Body: p.Body, Lent: true, // they were made for this request
	}
	id, err := s.client.Request(s.producer, &s.out, timeout, replier(done))
	s.out = client.Outgoing{}
	if err != nil {
		return nil, err
	}
	return func() { s.client.Forget(id) }, nil
}

// A replier is called with the outcome of one request.
type replier func(*publisher.Answer, error)

// Replied copies the reply, which is valid only until Replied returns.
func (done replier) Replied(d *client.Delivery, err error) {
	if err != nil {
		done(nil, err)
		return
	}
	if !d.Owned {
		done(publisher.NewAnswer(d.RawProperties, d.Body))
		return
	}
	a, err := publisher.NewAnswer(d.RawProperties, nil)
	if err == nil {
		a.Body = d.Body
	}
	done(a, err)
}

// queues gives handlers the queues of one connection.
type queues struct {
	door   *Door
	client *client.Client
}

// QueueInfo asks the broker for the numbers of a queue.
func (q queues) QueueInfo(queue string, done func(messages, consumers int, err error)) error {
	return q.client.QueueInfo(queue, func(messages, consumers uint32, err error) {
		done(int(messages), int(consumers), err)
	})
}

// Get takes one message, unacked.
func (q queues) Get(queue string, done func(d *publisher.Delivery, settle func(ack bool), err error)) error {
	return q.client.Get(queue, false, func(d *client.Delivery, err error) {
		if d == nil || err != nil {
			done(nil, nil, err)
			return
		}
		acknowledger, epoch, tag := d.Acknowledger, d.Epoch, d.Tag
		settle := func(ack bool) {
			if ack {
				acknowledger.Ack(epoch, tag)
				return
			}
			acknowledger.Nack(epoch, tag, true)
		}
		out, err := got(d)
		if err != nil { // given back, it would stay the first message of the queue for ever
			q.door.log.Error().Err(err).Str("queue", queue).Str("exchange", string(d.Exchange)).Str("routing_key", string(d.RoutingKey)).
				Msg("nobody can get a message: it is refused, and lost if its queue has no dead-letter exchange")
			acknowledger.Reject(epoch, tag, false)
			done(nil, nil, err)
			return
		}
		done(out, settle, nil)
	})
}

// got copies the message of a Get.
func got(d *client.Delivery) (*publisher.Delivery, error) {
	if d.Fault != nil {
		return nil, d.Fault
	}
	properties, body, err := publisher.Unwrap(d.RawProperties, d.Body)
	if err != nil {
		return nil, err
	}
	out := &publisher.Delivery{
		DeliveryTag: d.Tag, Redelivered: d.Redelivered, Exchange: string(d.Exchange), RoutingKey: string(d.RoutingKey),
		Body: body,
	}
	if !d.Owned {
		out.Body = append([]byte(nil), body...)
	}
	var props amqpproto.Properties
	if _, err = props.Decode(properties); err == nil {
		err = props.SetDelivery(out)
	}
	return out, err
}
