package chaos_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/chaos/ledger"
	"zamqp/tests/chaos/plan"
)

// rig is one run: a site, our server, a load, and the faults that were made.
type rig struct {
	t      *testing.T
	site   *site
	ours   [2]*instance // the second one waits to replace the first
	target atomic.Value // the URL that HTTP is sent to, as a string
	source *source
	book   *ledger.File // of the source
	books  *books
	faults []ledger.Fault
	// patience limits each wait for work to continue and for the backlog to be gone.
	patience time.Duration
}

// newRig starts our server at a site, and the load when it is ready.
func newRig(t *testing.T, s *site, env ...string) *rig {
	t.Helper()
	dir := t.TempDir()
	sent, handled := filepath.Join(dir, "sent"), filepath.Join(dir, "handled")
	var files [2]*ledger.File
	for i, path := range []string{sent, handled} {
		var err error
		if files[i], err = ledger.Open(path); err != nil {
			t.Fatal(err)
		}
	}
	_ = files[1].Close() // the server's processes write it
	r := &rig{t: t, site: s, patience: 90 * time.Second, book: files[0], books: newBooks(t, sent, handled)}
	for i := range r.ours {
		options := s.options
		if i > 0 { // which may run beside the first
			options = append(options[:len(options):len(options)], fmt.Sprint("connection.default.spool_dir=", filepath.Join(dir, "spool2")))
		}
		r.ours[i] = newInstance(t, fmt.Sprint("server", i), dir, handled, options, env...)
	}
	r.target.Store(r.ours[0].url)
	r.source = newSource(s.urls, &r.target, r.book)
	r.ours[0].start()
	r.ours[0].awaitReady()
	if err := r.awaitQueues(); err != nil {
		t.Fatal(err)
	}
	r.source.start()
	return r
}

// awaitQueues returns when all queues exist and are consumed: a server with a spool is ready
// before that, and a publish that no queue gets is confirmed, too.
func (r *rig) awaitQueues() error {
	var last error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if last = r.consumed(); last == nil {
			return nil
		}
	}
	return last
}

func (r *rig) consumed() error {
	conn, channel, err := dial(r.site.urls)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for queue := range plan.Queues {
		switch q, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil); {
		case err != nil:
			return err
		case q.Consumers == 0:
			return fmt.Errorf("nobody consumes from %s", queue)
		}
	}
	return nil
}

// do makes one fault and measures how work continues.
func (r *rig) do(f *fault) {
	r.t.Helper()
	began := time.Now()
	if f.backlog > 0 {
		r.source.burst(f.backlog)
	}
	done := ledger.Fault{Kind: f.kind, Begin: began, Deaths: f.deaths, Unordered: f.unordered}
	f.breaks(r)
	if f.survives {
		r.measure(&done, f)
	}
	time.Sleep(f.held())
	healing := make(chan struct{})
	go func() { // because work may continue before a node that comes back has started
		defer close(healing)
		f.heals(r)
	}()
	healed := r.measure(&done, f)
	if done.Stalled == "" {
		done.CaughtUp, done.Stalled = r.catchUp(healed)
	}
	<-healing
	if done.Stalled == "" { // messages that a spool sends late still belong to this fault
		_, done.Stalled = r.catchUp(time.Now())
	}
	r.faults = append(r.faults, done)
	r.t.Logf("%-26s %5.1f s in all; normal %v, caught up after %.1f s; %d confirmed so far %s", f.kind, time.Since(began).Seconds(),
		done.Normal, done.CaughtUp.Seconds(), r.books.confirmed(), done.Stalled)
}

// measure records, for each kind of work, how long after the broker is well, from now on, it
// continues. It returns the moment at which the broker was well.
func (r *rig) measure(done *ledger.Fault, f *fault) time.Time {
	r.t.Helper()
	at := time.Now()
	if !f.ours {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		var err error
		if at, err = well(ctx, r.site.urls); err != nil {
			r.t.Errorf("%s: the broker did not get well: %v", f.kind, err)
			at = time.Now()
		}
	}
	r.books.look(at)
	for end := time.Now().Add(r.patience); ; time.Sleep(10 * time.Millisecond) {
		on, missing := r.books.wentOn()
		if missing == "" {
			done.Normal = append(done.Normal, on.Sub(at))
			return at
		}
		if time.Now().After(end) {
			done.Stalled = missing
			return at
		}
	}
}

// catchUp waits until everything that was confirmed by then has been handled.
func (r *rig) catchUp(until time.Time) (took time.Duration, stalled string) {
	for end := time.Now().Add(r.patience); ; time.Sleep(10 * time.Millisecond) {
		n := r.books.owed(until)
		if n == 0 {
			return max(time.Since(until), time.Millisecond), ""
		}
		if time.Now().After(end) {
			return r.patience, fmt.Sprintf("%d messages of before are not handled", n)
		}
	}
}

// finish ends the load, waits until everything is handled, and checks the ledgers.
func (r *rig) finish() *ledger.Result {
	r.t.Helper()
	r.source.end()
	if _, stalled := r.catchUp(time.Now()); stalled != "" {
		r.t.Log("at the end:", stalled)
	}
	r.buryAll() // while our process lives: it may have the broker in it
	r.ours[0].drain()
	entries := r.books.close()
	return ledger.Check(entries, r.faults, plan.Queues)
}

// buryAll records the messages in the dead-letter queues.
func (r *rig) buryAll() {
	r.t.Helper()
	conn, channel, err := dial(r.site.urls)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	for queue := range plan.Queues {
		for {
			d, ok, err := channel.Get(queue+".dead", true)
			if err != nil {
				r.t.Error(err)
				return
			}
			if !ok {
				break
			}
			r.bury(queue, &d)
		}
	}
}

func (r *rig) bury(queue string, d *amqp.Delivery) {
	id, ok := plan.Parse(queue, d.Body)
	if !ok {
		r.t.Errorf("a dead letter of %s that is not ours: %q", queue, d.Body)
		return
	}
	_ = r.book.Add(ledger.Entry{Kind: ledger.Dead, ID: id, Time: time.Now(),
		Note: fmt.Sprintf("%v: %v", d.Headers["x-zamqp-reason"], d.Headers["x-zamqp-error"])})
}
