package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A broker is the RabbitMQ that all contestants share, and the bench's own
// connection to it.
type broker struct {
	url  string
	dir  string // of the node that we started; "" for a given one
	conn *amqp.Connection
}

const (
	rabbitScript = "../kit/rabbitmq/rabbitmq"
	urlEnv       = "ZAMQP_TEST_AMQP_URL"
)

// startBroker starts RabbitMQ if anything needs it, or uses the given one.
func (b *bench) startBroker(workloads []workload) error {
	needed := false
	for _, w := range workloads {
		needed = needed || w.broker
		for _, c := range w.contestants {
			needed = needed || c.prog.isOurs() // the watcher keeps its connection all the time
		}
	}
	if !needed {
		return nil
	}
	br := &broker{url: os.Getenv(urlEnv)}
	if br.url == "" {
		b.progress("starting RabbitMQ")
		br.dir = b.dir + "-rabbitmq"
		// -for and -rm: the node and its directory end with us, in whatever way we
		// end.
		cmd := exec.CommandContext(b.ctx, rabbitScript, "start", "-for", strconv.Itoa(os.Getpid()), "-rm", br.dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("start RabbitMQ: %w (or set %s)", err, urlEnv)
		}
		br.url = strings.TrimSpace(string(out))
	}
	b.broker = br
	var err error
	if br.conn, err = amqp.Dial(br.url); err != nil {
		return fmt.Errorf("connect to RabbitMQ: %w", err)
	}
	return nil
}

func (b *bench) stopBroker() {
	if b.broker == nil {
		return
	}
	if b.broker.conn != nil {
		_ = b.broker.conn.Close() // the run is over
	}
	if b.broker.dir != "" {
		if err := exec.Command(rabbitScript, "stop", b.broker.dir).Run(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: stop RabbitMQ:", err)
		}
	}
}

// with runs f on a channel of its own, because a refusal closes the channel.
func (br *broker) with(f func(*amqp.Channel) error) error {
	ch, err := br.conn.Channel()
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }() // it is closed already if f was refused
	return f(ch)
}

// fresh declares a durable queue and empties it. RabbitMQ 4.3 refuses transient
// queues that are not exclusive.
func (br *broker) fresh(queue string) error {
	return br.with(func(ch *amqp.Channel) error {
		if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
			return err
		}
		_, err := ch.QueuePurge(queue, false)
		return err
	})
}

// depth returns how many messages are ready in the queue.
func (br *broker) depth(queue string) (n int, err error) {
	err = br.with(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		n = q.Messages
		return err
	})
	return n, err
}

// await waits until the queue has exactly n ready messages and still has n a little
// later.
func (br *broker) await(ctx context.Context, queue string, n int, limit time.Duration) error {
	var got int
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		var err error
		if got, err = br.depth(queue); err != nil {
			return err
		}
		if got == n {
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: queue %s has %d messages and should have %d", errWrong, queue, got, n)
}

const (
	messageSize = 256 // octets of body
	window      = 1000
)

// preload fills a fresh queue with n messages for the consume workload.
func (br *broker) preload(ctx context.Context, queue string, n int) error {
	if err := br.fresh(queue); err != nil {
		return err
	}
	err := br.with(func(ch *amqp.Channel) error {
		body := make([]byte, messageSize)
		headers := amqp.Table{"x-source": "bench", "x-attempt": int32(1)}
		for i := range n {
			err := ch.PublishWithContext(ctx, "", queue, false, false, amqp.Publishing{
				ContentType:   "application/octet-stream",
				CorrelationId: fmt.Sprintf("%032x", i),
				Headers:       headers,
				Body:          body,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return br.await(ctx, queue, n, time.Minute)
}
