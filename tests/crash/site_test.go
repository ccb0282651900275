// Package crash ends processes with messages in hand, on RabbitMQ and on our own broker, and
// counts what happens to each message: which are handled, which are given up, and how many
// processes that takes. The server is this test binary, run again.
package crash_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

const patience = wait.Patience

// ledgerEnv names, in the process of a server, the file that its handlers write to.
const ledgerEnv = "CRASH_LEDGER"

func TestMain(m *testing.M) {
	process.Main(m, func(args []string) int {
		if err := serve(os.Getenv(ledgerEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		return app.Main(args)
	})
}

// serve registers the consumers: each of them handles a message as its body says.
func serve(path string) error {
	ledger, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	serveClock(ledger)
	handle := func(r *publisher.Request) error {
		body := string(r.Body())
		fmt.Fprintln(ledger, "begin", body)
		for _, word := range strings.Fields(body) {
			if d, err := time.ParseDuration(word); err == nil {
				if err := r.Sleep(d); err != nil {
					return err
				}
			}
		}
		for strings.HasPrefix(body, "poison forever") { // until loop.stall_limit
		}
		if strings.HasPrefix(body, "poison") {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		fmt.Fprintln(ledger, "end", body)
		return nil
	}
	prefetch := publisher.Consumer{Prefetch: 20}
	quorum, lane, place, bulk := prefetch, prefetch, prefetch, prefetch
	quorum.QueueType = publisher.QueueQuorum
	lane.Lane, place.Retry.InPlace, bulk.Prefetch = "header:key", true, 100
	line := quorum
	line.Lane = "queue"
	turns := line
	turns.SingleActive = true
	for name, c := range map[string]publisher.Consumer{"usual": prefetch, "quorum": quorum, "lane": lane, "place": place, "bulk": bulk,
		"line": line, "turns": turns} {
		c.Queue = "crash-" + name
		publisher.Consume(name, c, handle)
	}
	return nil
}

// A site is one consumer's queue at a broker, with the processes that run there
// one after the other.
type site struct {
	t        *testing.T
	url      string
	consumer string
	queue    string
	dir      string
	options  []string
	conn     *amqp.Connection
	ch       *amqp.Channel
	deaths   int
	broker   []string // options of the broker that runs in the server's process, and ends with it
}

var sites int

// newSite makes one at a broker. data is server.data_dir.
func newSite(t *testing.T, url, consumer, data string) *site {
	t.Helper()
	sites++
	s := &site{t: t, url: url, consumer: consumer, dir: t.TempDir()}
	t.Cleanup(func() {
		if s.conn != nil {
			_ = s.conn.Close()
		}
	})
	s.queue = fmt.Sprintf("crash-%s-%d-%d", consumer, os.Getpid(), sites)
	s.options = []string{"http.listen=", "log.format=json", "server.data_dir=" + data, "connection.default.url=" + url,
		"connection.default.backoff_min=20ms", "connection.default.backoff_max=200ms", "consumer." + consumer + ".queue=" + s.queue}
	for _, other := range []string{"usual", "quorum", "lane", "place", "bulk", "line", "turns"} {
		if other != consumer {
			s.options = append(s.options, "consumer."+other+".enabled=false")
		}
	}
	return s
}

// connect makes the site's own connection and channel, with confirms.
func (s *site) connect() {
	s.t.Helper()
	s.eventually("a connection", func() bool {
		conn, err := amqp.Dial(s.url)
		if err != nil {
			return false
		}
		s.conn = conn
		s.ch, err = conn.Channel()
		return err == nil && s.ch.Confirm(false) == nil
	})
}

func (s *site) eventually(what string, done func() bool) { s.t.Helper(); wait.Until(s.t, what, done) }

// publish publishes bodies and waits for the confirms.
func (s *site) publish(bodies ...string) {
	s.t.Helper()
	var all []*amqp.DeferredConfirmation
	for i, body := range bodies {
		c, err := s.ch.PublishWithDeferredConfirm("", s.queue, true, false, amqp.Publishing{
			DeliveryMode: 2, MessageId: body, Body: []byte(body), Headers: amqp.Table{"key": fmt.Sprint("k", i%10)}})
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, c := range all {
		if ok, err := c.WaitContext(ctx); !ok || err != nil {
			s.t.Fatal("not confirmed", err)
		}
	}
}

// A run is one process of the server.
type run struct {
	*process.Process
	s *site
}

func (s *site) start() *run {
	s.t.Helper()
	return s.run("serve", s.options)
}

// run runs a command of zamqp.
func (s *site) run(command string, options []string) *run {
	s.t.Helper()
	log := filepath.Join(s.dir, fmt.Sprintf("log-%d", time.Now().UnixNano()))
	args := []string{command}
	for _, o := range options {
		args = append(args, "-o", o)
	}
	out, err := os.Create(log)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close() // the process has its own
	cmd := process.Self(args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	cmd.Env = append(cmd.Env, ledgerEnv+"="+filepath.Join(s.dir, "ledger"))
	p, err := process.Start(cmd)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		p.Kill()
		if s.t.Failed() {
			b, _ := os.ReadFile(log)
			s.t.Logf("%s", b[max(0, len(b)-4000):])
		}
	})
	return &run{p, s}
}

// stop ends the process cleanly. The test counts the messages that it was handling at that
// time.
func (r *run) stop() {
	if err := r.Stop(); errors.Is(err, process.ErrStuck) {
		r.s.t.Error(err)
	}
}

// loop restarts the process as often as it ends, until done. It counts the ends.
func (s *site) loop(most int, done func() bool) {
	s.t.Helper()
	s.loopAll(most, []string{""}, done)
}

// loopAll does so with several processes beside each other: one for each
// server.data_dir, "" for that of the site.
func (s *site) loopAll(most int, data []string, done func() bool) {
	s.t.Helper()
	start := func(dir string) *run {
		if dir == "" {
			return s.start()
		}
		return s.run("serve", append(slices.Clone(s.options), "server.data_dir="+dir))
	}
	var all []*run
	for _, dir := range data {
		all = append(all, start(dir))
	}
	for until := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			s.t.Fatalf("not done after %v, %d ends; handled %d; in the queue %d, in quarantine %d, dead %d", patience, s.deaths,
				len(s.ledger("end")), s.count(s.queue), s.count(s.queue+".quarantine"), s.count(s.queue+".dead"))
		}
		for i, p := range all {
			if p.Running() {
				continue
			}
			if s.deaths++; s.deaths > most {
				s.t.Fatalf("%d ends of processes", s.deaths)
			}
			all[i] = start(data[i])
		}
	}
	for _, p := range all {
		p.stop() // a kill while a dead letter is on its way may make two of it
	}
}

// ledger counts the lines of one kind, by body.
func (s *site) ledger(kind string) map[string]int {
	b, _ := os.ReadFile(filepath.Join(s.dir, "ledger"))
	counts := map[string]int{}
	for line := range strings.Lines(string(b)) {
		if body, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), kind+" "); ok {
			counts[body]++
		}
	}
	return counts
}

// handled reports whether all of the bodies were, at least once.
func (s *site) handled(bodies []string) bool {
	done := s.ledger("end")
	for _, body := range bodies {
		if done[body] == 0 {
			return false
		}
	}
	return true
}

// count is the number of messages that are ready in a queue; -1 without it.
func (s *site) count(queue string) int {
	s.t.Helper()
	q, err := s.ask(queue)
	if err != nil {
		return -1
	}
	return q.Messages
}

// ask asks for a queue, on a new connection if the old one has ended.
func (s *site) ask(queue string) (q amqp.Queue, err error) {
	if s.conn.IsClosed() {
		conn, err := amqp.Dial(s.url)
		if err != nil {
			return q, err
		}
		s.conn = conn
	}
	ch, err := s.conn.Channel()
	if err != nil {
		return q, err
	}
	defer ch.Close()
	return ch.QueueDeclarePassive(queue, true, false, false, false, nil)
}

// drain takes all that is in a queue.
func (s *site) drain(queue string) (all []amqp.Delivery) {
	s.t.Helper()
	for {
		d, ok, err := s.ch.Get(queue, true)
		if err != nil {
			s.t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, d)
	}
}

func bodies(n int, format string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

// twice are those that were counted more often than once.
func twice(counts map[string]int) (n int) {
	for c := range maps.Values(counts) {
		if c > 1 {
			n++
		}
	}
	return n
}
