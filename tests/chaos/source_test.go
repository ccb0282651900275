package chaos_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/chaos/ledger"
	"zamqp/tests/chaos/plan"
)

// source publishes by an independent client, and by HTTP. Each key has one
// message at a time under way: its next one follows the confirm.
type source struct {
	urls    []string
	target  *atomic.Value // of HTTP
	book    *ledger.File
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	client  *http.Client
	bursts  int

	mu      sync.Mutex
	conn    *amqp.Connection
	channel *amqp.Channel
}

// Of each queue: keys, and messages a second of all its keys.
const (
	keys = 10
	rate = 60
)

func newSource(urls []string, target *atomic.Value, book *ledger.File) *source {
	s := &source{urls: urls, target: target, book: book, client: &http.Client{Timeout: 15 * time.Second}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// start begins the steady load.
func (s *source) start() {
	pace := time.Second * keys / rate
	for i := range keys {
		s.running.Go(func() { s.run(plan.Lane, fmt.Sprint(i), -1, pace, s.publish) })
		s.running.Go(func() { s.run(plan.Free, fmt.Sprint(i), -1, pace, s.publish) })
		s.running.Go(func() { s.run(plan.Post, fmt.Sprint(i), -1, pace, s.post) })
	}
}

// burst publishes n messages to Free as fast as it can, and returns when they
// are confirmed, or after a few seconds.
func (s *source) burst(n int) {
	s.bursts++
	var wg sync.WaitGroup
	for i := range keys {
		key := fmt.Sprintf("burst-%d-%d", s.bursts, i)
		wg.Add(1)
		s.running.Go(func() { defer wg.Done(); s.run(plan.Free, key, n/keys, 0, s.publish) })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
}

// end stops the load.
func (s *source) end() {
	s.cancel()
	s.running.Wait()
	s.drop(nil)
}

// run publishes the messages of one key, each until it is confirmed.
func (s *source) run(queue, key string, n int, pace time.Duration, publish func(ledger.ID) error) {
	for seq := 0; seq != n; seq++ {
		id := ledger.ID{Queue: queue, Key: key, Seq: seq}
		for attempt := 1; ; attempt++ {
			if s.ctx.Err() != nil {
				return
			}
			_ = s.book.Add(ledger.Entry{Kind: ledger.Published, ID: id, Time: time.Now(), Attempt: attempt})
			err := publish(id)
			if err == nil {
				break
			}
			s.wait(100 * time.Millisecond)
		}
		_ = s.book.Add(ledger.Entry{Kind: ledger.Confirmed, ID: id, Time: time.Now()})
		if pace > 0 {
			s.wait(pace/2 + rand.N(pace))
		}
	}
}

func (s *source) wait(d time.Duration) {
	select {
	case <-s.ctx.Done():
	case <-time.After(d):
	}
}

// open returns the channel that all share, and opens a new one if necessary.
func (s *source) open() (*amqp.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channel != nil && !s.channel.IsClosed() {
		return s.channel, nil
	}
	conn, channel, err := dial(s.urls)
	if err != nil {
		return nil, err
	}
	s.conn, s.channel = conn, channel
	return channel, nil
}

// drop gives up the connection of the channel; nil is any.
func (s *source) drop(channel *amqp.Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && (channel == nil || channel == s.channel) {
		go func(c *amqp.Connection) { _ = c.Close() }(s.conn) // it may wait for a broker that stands still
		s.conn, s.channel = nil, nil
	}
}

func (s *source) publish(id ledger.ID) error {
	channel, err := s.open()
	if err != nil {
		return err
	}
	if err := confirm(channel, id.Queue, amqp.Publishing{
		DeliveryMode: amqp.Persistent, ContentType: "text/plain", MessageId: id.String(),
		Headers: amqp.Table{"key": id.Key}, Body: plan.Body(id),
	}, 5*time.Second); err != nil {
		s.drop(channel)
		return err
	}
	return nil
}

func (s *source) post(id ledger.ID) error {
	url := s.target.Load().(string) + "/messages"
	resp, err := s.client.Post(url, "text/plain", bytes.NewReader(plan.Body(id)))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	return nil
}

// dial logs in at the first broker that accepts the login and opens a channel with confirms.
func dial(urls []string) (*amqp.Connection, *amqp.Channel, error) {
	var last error
	for _, url := range urls {
		conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(time.Second), Heartbeat: 5 * time.Second})
		if err != nil {
			last = err
			continue
		}
		channel, err := conn.Channel()
		if err == nil {
			err = channel.Confirm(false)
		}
		if err == nil {
			return conn, channel, nil
		}
		last = err
		go func() { _ = conn.Close() }()
	}
	return nil, nil, last
}

// confirm publishes to a queue and waits until the broker confirms.
func confirm(channel *amqp.Channel, queue string, p amqp.Publishing, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	done, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false, p)
	if err != nil {
		return err
	}
	switch ack, err := done.WaitContext(ctx); {
	case err != nil:
		return err
	case !ack:
		return fmt.Errorf("nack from queue %s", queue)
	}
	return nil
}

// well returns the moment at which an independent client has logged in and got a confirm from
// each queue, starting now.
func well(ctx context.Context, urls []string) (time.Time, error) {
	for ctx.Err() == nil {
		if probe(urls) == nil {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return time.Time{}, ctx.Err()
}

// probe tries the nodes one by one: in a cluster, each may be the one that is well.
func probe(urls []string) error {
	var last error
	for _, url := range urls {
		conn, channel, err := dial([]string{url})
		if err != nil {
			last = err
			continue
		}
		last = nil
		for queue := range plan.Queues {
			if last = confirm(channel, queue, amqp.Publishing{Body: []byte(plan.Probe), Headers: amqp.Table{"key": plan.Probe}}, time.Second); last != nil {
				break
			}
		}
		go func() { _ = conn.Close() }()
		if last == nil {
			return nil
		}
	}
	return last
}
