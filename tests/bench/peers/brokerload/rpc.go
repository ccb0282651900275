package main

import (
	"errors"

	"zamqp/amqpproto"
)

const direct = "amq.rabbitmq.reply-to"

// rpc keeps window requests outstanding, with direct reply-to, to an echo server in
// this process. It uses two connections, so that a request and its reply go through
// the broker once each.
func (j *job) rpc() error {
	server, err := j.dial()
	if err != nil {
		return err
	}
	if err := j.declare(server); err != nil {
		return err
	}
	if err := server.call(1, &amqpproto.BasicConsume{Queue: []byte(j.queue), NoAck: true}, amqpproto.IDBasicConsumeOk); err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- j.echo(server) }()
	go func() { failed <- j.callers() }()
	err = <-failed // the requests end, the echo server does not
	return errors.Join(err, server.Close())
}

// echo answers each delivery with a prepared message.
func (j *job) echo(c *conn) error {
	var one []byte
	var out []byte
	for {
		err := c.read(func(f frame) error {
			if f.typ != amqpproto.FrameHeader {
				return nil
			}
			// There is one requester, so its address is in the first request.
			if one == nil {
				var p amqpproto.Properties
				if _, err := p.Decode(f.payload[12:]); err != nil {
					return err
				}
				one = j.publicationTo(string(p.ReplyTo), "", 1)
			}
			out = append(out, one...)
			return nil
		})
		if err != nil {
			return err
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
		out = out[:0]
	}
}

func (j *job) callers() error {
	c, err := j.dial()
	if err != nil {
		return err
	}
	if err := c.call(1, &amqpproto.BasicConsume{Queue: []byte(direct), NoAck: true}, amqpproto.IDBasicConsumeOk); err != nil {
		return err
	}
	many := j.publicationTo(j.queue, direct, j.window)
	one := len(many) / j.window
	if _, err := c.Write(many); err != nil {
		return err
	}
	total := j.warm + j.count
	sent, answered := j.window, 0
	var watch clock
	for answered < total {
		came := 0
		err := c.read(func(f frame) error {
			if f.method() == amqpproto.IDBasicDeliver {
				came++
			}
			return nil
		})
		if err != nil {
			return err
		}
		answered += came
		if answered >= j.warm && watch.began.IsZero() {
			watch.first()
			j.count = total - answered
		}
		if n := min(came, total-sent); n > 0 {
			if _, err := c.Write(many[:n*one]); err != nil {
				return err
			}
			sent += n
		}
	}
	watch.done(j.count)
	return nil
}
