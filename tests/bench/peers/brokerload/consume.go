package main

import (
	"encoding/binary"
	"errors"

	"zamqp/amqpproto"
)

// consume takes warm+count messages with a prefetch of window, and acks each with a
// frame of its own. The acks of one read leave in one write.
func (j *job) consume() error {
	c, err := j.dial()
	if err != nil {
		return err
	}
	if err := c.call(1, &amqpproto.BasicQos{PrefetchCount: uint16(j.window)}, amqpproto.IDBasicQosOk); err != nil {
		return err
	}
	if err := c.send(1, &amqpproto.BasicConsume{Queue: []byte(j.queue)}); err != nil {
		return err
	}
	ack, err := amqpproto.AppendMethod(nil, 1, &amqpproto.BasicAck{})
	if err != nil {
		return err
	}
	const tagAt = 7 + 4
	total := j.warm + j.count
	var watch clock
	var out []byte
	n, last := 0, uint64(0)
	for n < total {
		err := c.read(func(f frame) error {
			if f.method() != amqpproto.IDBasicDeliver {
				return nil
			}
			n++
			last++
			tag := 4 + 1 + int(f.payload[4])
			if got := binary.BigEndian.Uint64(f.payload[tag:]); got != last {
				return errors.New("delivery tags do not count up")
			}
			out = append(out, ack...)
			binary.BigEndian.PutUint64(out[len(out)-len(ack)+tagAt:], last)
			return nil
		})
		if err != nil {
			return err
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
		out = out[:0]
		if n >= j.warm && watch.began.IsZero() {
			watch.first()
			j.count = total - n
		}
	}
	// When a request behind the last acks has its reply, the broker has processed
	// the acks.
	if err := c.call(1, &amqpproto.ExchangeDeclare{Exchange: []byte("amq.direct"), Passive: true}, amqpproto.IDExchangeDeclareOk); err != nil {
		return err
	}
	watch.done(j.count)
	return nil
}
