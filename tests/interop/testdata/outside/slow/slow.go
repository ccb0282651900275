// Package slow waits before it answers, so that a signal finds it at work.
package slow

import (
	"time"

	"zamqp/publisher"
)

func init() {
	publisher.Handle("GET /slow/{pause}", get)
	publisher.Consume("slow", publisher.Consumer{Prefetch: 50}, message)
	publisher.Consume("turns", publisher.Consumer{SingleActive: true, Prefetch: 2}, turn)
	publisher.Consume("turns-quorum", publisher.Consumer{SingleActive: true, Prefetch: 2, QueueType: publisher.QueueQuorum}, turn)
	publisher.Consume("alone", publisher.Consumer{ExclusiveConsumer: true, Prefetch: 2}, turn)
	publisher.Handle("POST /pause/{name}", func(r *publisher.Request) error { return r.Pause(r.PathValue("name")) })
	publisher.Handle("POST /resume/{name}", func(r *publisher.Request) error { return r.Resume(r.PathValue("name")) })
}

// get answers after the pause in its path.
func get(r *publisher.Request) error {
	pause, err := time.ParseDuration(r.PathValue("pause"))
	if err != nil {
		return publisher.Errorf(400, "%v", err)
	}
	if err := r.Sleep(pause); err != nil {
		return err
	}
	return r.Text(200, "slept "+pause.String())
}

// message replies with the message that it got, but so late that a sender gets far ahead.
func message(r *publisher.Request) error {
	if err := r.Sleep(400 * time.Millisecond); err != nil {
		return err
	}
	return r.Bytes(200, "text/plain", r.Body())
}

// turn takes longer than a second server needs to get into line.
func turn(r *publisher.Request) error {
	if err := r.Sleep(time.Second); err != nil {
		return err
	}
	return r.Bytes(200, "text/plain", r.Body())
}
