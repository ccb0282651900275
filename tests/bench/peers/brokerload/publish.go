package main

import (
	"errors"
	"sync/atomic"

	"zamqp/amqpproto"
)

// batch is how many publishes leave in one write.
const batch = 50

// publish sends count messages after the warm ones, with at most window of them
// unconfirmed. measured prints the marks; fill does not want them.
func (j *job) publish(measured bool) error {
	c, err := j.dial()
	if err != nil {
		return err
	}
	if err := j.declare(c); err != nil {
		return err
	}
	if err := c.confirms(); err != nil {
		return err
	}
	total := j.warm + j.count
	var confirmed atomic.Int64
	moved := make(chan struct{}, 1)
	failed := make(chan error, 1)
	go func() { failed <- j.write(c, total, &confirmed, moved) }()
	var watch clock
	n := 0
	for n < total {
		err := c.read(func(f frame) error {
			if f.method() == amqpproto.IDBasicNack {
				return errors.New("a publish was refused")
			}
			n += f.confirms(&c.lastConfirm)
			return nil
		})
		if err != nil {
			return err
		}
		if measured && n >= j.warm && watch.began.IsZero() {
			watch.first()
			j.count = total - n // what is left to be measured
		}
		confirmed.Store(int64(n))
		select {
		case moved <- struct{}{}:
		default:
		}
	}
	if measured {
		watch.done(j.count)
	}
	return <-failed
}

// write sends as much as the window allows.
func (j *job) write(c *conn, total int, confirmed *atomic.Int64, moved <-chan struct{}) error {
	many := j.publication(batch)
	one := len(many) / batch
	for sent := 0; sent < total; {
		n := min(batch, total-sent, j.window-(sent-int(confirmed.Load())))
		if n <= 0 {
			<-moved
			continue
		}
		if _, err := c.Write(many[:n*one]); err != nil {
			return err
		}
		sent += n
	}
	return nil
}
