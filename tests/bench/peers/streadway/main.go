// Command streadway consumes, publishes or echoes with streadway/amqp.
package main

import (
	"errors"
	"log"

	"github.com/streadway/amqp"

	"zamqp/tests/bench/peers/report"
)

func main() {
	job := report.Parse()
	conn, err := amqp.Dial(job.URL)
	report.Check(err)
	ch, err := conn.Channel()
	report.Check(err)
	switch job.Mode {
	case "consume":
		report.Check(consume(ch, job))
	case "publish":
		report.Check(publish(ch, job))
	case "echo":
		report.Check(echo(ch, job))
	default:
		log.Fatalf("unknown mode %q", job.Mode)
	}
	report.Forever()
}

// tally is the handler: it reads what a real handler would read.
type tally struct{ count, bytes int }

func (t *tally) handle(d *amqp.Delivery) error {
	if d.ContentType != "application/octet-stream" || d.CorrelationId == "" ||
		d.Headers["x-source"] != "bench" || d.Headers["x-attempt"] != int32(1) {
		return errors.New("a message without its properties")
	}
	t.count++
	t.bytes += len(d.Body)
	return nil
}

func consume(ch *amqp.Channel, job report.Job) error {
	if err := ch.Qos(job.Window, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.Consume(job.Queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	report.Ready()
	var t tally
	for d := range deliveries {
		if err := t.handle(&d); err != nil {
			return err
		}
		if err := d.Ack(false); err != nil {
			return err
		}
		switch t.count {
		case job.Warm:
			report.First()
		case job.Warm + job.Count:
			report.Done(job.Count, t.bytes)
		}
	}
	return errors.New("the broker closed the channel")
}

func publish(ch *amqp.Channel, job report.Job) error {
	if err := ch.Confirm(false); err != nil {
		return err
	}
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, job.Window))
	report.Ready()
	if err := burst(ch, confirms, job, job.Warm); err != nil {
		return err
	}
	report.First()
	if err := burst(ch, confirms, job, job.Count); err != nil {
		return err
	}
	report.Done(job.Count, (job.Warm+job.Count)*256)
	return nil
}

// burst publishes count messages with at most job.Window unconfirmed.
func burst(ch *amqp.Channel, confirms <-chan amqp.Confirmation, job report.Job, count int) error {
	body := make([]byte, 256)
	headers := amqp.Table{"x-source": "bench", "x-attempt": int32(1)}
	settle := func() error {
		if c, ok := <-confirms; !ok || !c.Ack {
			return errors.New("nacked, or the channel is closed")
		}
		return nil
	}
	for i := range count {
		if i >= job.Window {
			if err := settle(); err != nil {
				return err
			}
		}
		err := ch.Publish("", job.Queue, false, false, amqp.Publishing{
			ContentType:   "application/octet-stream",
			CorrelationId: "0123456789abcdef0123456789abcdef",
			Headers:       headers,
			Body:          body,
		})
		if err != nil {
			return err
		}
	}
	for range min(count, job.Window) {
		if err := settle(); err != nil {
			return err
		}
	}
	return nil
}

func echo(ch *amqp.Channel, job report.Job) error {
	if err := ch.Qos(job.Window, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.Consume(job.Queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	report.Ready()
	for d := range deliveries {
		err := ch.Publish("", d.ReplyTo, false, false, amqp.Publishing{
			ContentType:   d.ContentType,
			CorrelationId: d.CorrelationId,
			Headers:       d.Headers,
			Body:          d.Body,
		})
		if err != nil {
			return err
		}
		if err := d.Ack(false); err != nil {
			return err
		}
	}
	return errors.New("the broker closed the channel")
}
