package client_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/rabbitmq"
)

// workMax is the longest that a node may take to start or stop on a loaded machine.
const workMax = 3 * time.Minute

// meanwhile turns the pump until work, which runs beside it, is done.
func (p *pump) meanwhile(what string, turn func(), work func() error) {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	p.within(workMax, what, func() bool {
		select {
		case err := <-done:
			must(p.t, err)
			return true
		default:
		}
		if turn != nil {
			turn()
		}
		p.turn(time.Now().Add(5 * time.Millisecond)) // within waits for longer
		p.woken = true
		return false
	})
}

// TestRabbitMQQueueIsKilled: RabbitMQ nacks the publishes that a classic queue had in hand
// when its process was killed, and starts it again. Each publish has its outcome, confirmed
// ones are in the queue, and the rest is served.
func TestRabbitMQQueueIsKilled(t *testing.T) {
	node := rabbitmq.Shared(t)
	p := opened(t, nil)
	const queue = "zamqp.client.killed"
	_, err := p.declare(client.Topology{Queues: []client.Queue{{Name: queue, Durable: true}}})
	must(t, err)
	properties := amqpproto.Properties{Flags: amqpproto.FlagDeliveryMode, DeliveryMode: 2}
	raw, err := properties.Append(nil)
	must(t, err)
	confirmed, nacked, under, n := map[string]bool{}, 0, 0, 0
	last := time.Time{}
	publish := func() {
		if time.Since(last) < 10*time.Millisecond || under > 100 {
			return
		}
		last = time.Now()
		for range 20 {
			under++
			n++
			body := fmt.Sprint(n)
			must(t, p.client.Publish(nil, &client.Outgoing{RoutingKey: queue, RawProperties: raw, Body: []byte(body)},
				&numbered{t: t, n: n, then: func(err error) {
					under--
					switch {
					case err == nil:
						confirmed[body] = true
					case errors.Is(err, client.ErrNacked):
						nacked++
					default:
						t.Errorf("publish %s: %v", body, err)
					}
				}}))
		}
	}
	// Once: a queue that is killed too often for its supervisor stays away, and
	// what is published to it has no answer.
	p.meanwhile("the kill", publish, func() error {
		node.Ctl(t, "eval", fmt.Sprintf(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<%q>>)), exit(amqqueue:get_pid(Q), kill).`, queue))
		return nil
	})
	p.until("all outcomes", func() bool { return under == 0 })
	p.send(queue, "last")
	s := p.client.Stats()
	t.Logf("%d confirmed, %d nacked, %d sent again, %d channels renewed", len(confirmed), nacked, s.Resent, s.Renewed)
	if s.Renewed == 0 && nacked > 0 || s.Renewed > 10 || s.ResentIndeterminate > 0 || s.Reconnects > 0 {
		t.Errorf("%+v", s)
	}
	got := &orderly{ids: map[string]bool{}}
	p.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 500, Topology: client.Topology{Queues: []client.Queue{{Name: queue, Durable: true}}}}, got)
	p.until("the last one", func() bool { return slices.Contains(got.bodies, "last") })
	for _, body := range got.bodies {
		delete(confirmed, body)
	}
	if len(confirmed) > 0 {
		t.Errorf("%d confirmed messages are lost", len(confirmed))
	}
	deleted := false
	must(t, p.client.DeleteQueue(queue, false, false, func(uint32, error) { deleted = true }))
	p.until("delete", func() bool { return deleted })
	p.finish()
}

// failover is one death of a node that leads queues to which the first publishes come just
// then. RabbitMQ may nack all later publishes on the same channel, even if the queues have
// other leaders.
type failover struct {
	p       *pump
	cluster *rabbitmq.Cluster
	victim  int
	queues  []*led
	other   *amqp.Connection // of another client library, which does not renew
	witness *amqp.Channel    // its channel of before
	words   chan amqp.Confirmation
	sent    []*led    // by the witness: what it sent, when the queue was not served as yet nil
	nacked  int       // of the witness, while fresh channels were served
	told    int       // of the witness: all outcomes
	late    int       // of ours: those that RabbitMQ has never confirmed
	last    time.Time // that each queue was published to
	fresh   chan *led // of those that a fresh channel was served for
}

// led is a queue that the victim leads.
type led struct {
	name    string
	served  bool // a fresh channel was
	acks    int  // of ours since then
	nacks   int  // told since then
	under   int  // of ours: those without an outcome, since the last renewal
	renewed uint64
}

// underMax is how many publishes to a queue wait for their outcome: the nodes have a
// machine to share. Those that RabbitMQ does not confirm on a channel that has been
// renewed do not count, because they would keep the new one from being tried.
const underMax = 20

// servedMax is how long a queue may be without a leader: it depends on RabbitMQ alone.
const servedMax = 2 * time.Minute

// TestRabbitMQFailover kills the node that leads queues while publishes come. Whatever
// RabbitMQ does with old channels, ours continues as a new channel would.
func TestRabbitMQFailover(t *testing.T) {
	if os.Getenv("ZAMQP_TEST_LONG") == "" {
		t.Skip("starts a cluster: for ZAMQP_TEST_LONG")
	}
	c := rabbitmq.NewCluster(t, make([]rabbitmq.Place, 3))
	p := newPumpAt(t, c.URLs()[0], func(cfg *client.Config) { cfg.ConfirmTimeout = time.Minute })
	p.dial()
	p.until("open", p.client.Ready)
	poisoned := 0
	for round := 0; round < 4 && poisoned == 0; round++ {
		f := &failover{p: p, cluster: c, victim: 1 + round%2, fresh: make(chan *led, 1000), words: make(chan amqp.Confirmation, 100_000)}
		p.meanwhile("the queues", nil, func() error { return f.prepare(round) })
		before := p.client.Stats()
		f.run()
		s := p.client.Stats()
		nacks := 0
		for _, q := range f.queues {
			nacks += q.nacks
		}
		t.Logf("%d nacks for a channel of before while fresh ones were served, %d of %d without an answer; ours: %d renewed, %d sent again, %d nacks told, %d of them then, %d without an answer",
			f.nacked, len(f.sent)-f.told, len(f.sent), s.Renewed-before.Renewed, s.Resent-before.Resent, s.Nacked-before.Nacked, nacks, f.late)
		if f.nacked > 0 {
			poisoned++
		}
		_ = f.other.Close()
		p.meanwhile("the node", nil, func() error { c.Nodes[f.victim].Restart(t); return nil })
	}
	if poisoned == 0 {
		t.Log("RabbitMQ has served all channels alike")
	}
	p.finish()
}

func (f *failover) prepare(round int) (err error) {
	leader, err := amqp.Dial(f.cluster.URLs()[f.victim])
	if err != nil {
		return err
	}
	defer leader.Close()
	ch, err := leader.Channel()
	if err != nil {
		return err
	}
	for i := range 20 {
		q := &led{name: fmt.Sprintf("failover-%d-%d", round, i)}
		if _, err := ch.QueueDeclare(q.name, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
			return err
		}
		f.queues = append(f.queues, q)
	}
	if f.other, err = amqp.Dial(f.cluster.URLs()[0]); err != nil {
		return err
	}
	if f.witness, err = f.other.Channel(); err != nil {
		return err
	}
	f.witness.NotifyPublish(f.words)
	return f.witness.Confirm(false)
}

// run kills the node, and publishes until all queues are served again.
func (f *failover) run() {
	end := make(chan struct{})
	defer close(end)
	f.p.meanwhile("the kill", f.publish, func() error { f.cluster.Nodes[f.victim].Kill(f.p.t); return nil })
	go f.look(end)
	f.p.meanwhile("publishes to all queues", f.publish, func() error { time.Sleep(3 * time.Second); return nil })
	begin := time.Now()
	f.p.within(servedMax+time.Minute, "each queue is served", func() bool {
		f.publish()
		f.p.turn(time.Now().Add(5 * time.Millisecond))
		f.p.woken = true
		for _, q := range f.queues {
			if !q.served && time.Since(begin) > servedMax {
				f.p.t.Skipf("RabbitMQ has not served %s over a fresh channel for %s: this says nothing about the client", q.name, servedMax)
			}
			if q.acks < 3 {
				return false
			}
		}
		return true
	})
}

// publish publishes once to each queue, over ours and over the witness.
func (f *failover) publish() {
	for len(f.fresh) > 0 {
		(<-f.fresh).served = true
	}
	for len(f.words) > 0 {
		w := <-f.words
		if f.told++; !w.Ack && f.sent[w.DeliveryTag-1] != nil {
			f.nacked++
		}
	}
	if time.Since(f.last) < 50*time.Millisecond {
		return
	}
	f.last = time.Now()
	for _, q := range f.queues {
		renewed := f.p.client.Stats().Renewed
		if q.renewed != renewed {
			q.renewed, q.under = renewed, 0
		}
		if q.under >= underMax {
			continue
		}
		q.under++
		served := q.served
		must(f.p.t, f.p.client.Publish(nil, &client.Outgoing{RoutingKey: q.name, Mandatory: true, Body: []byte("x")}, &numbered{t: f.p.t, then: func(err error) {
			if q.renewed == renewed {
				q.under--
			}
			switch {
			case err == nil && served:
				q.acks++
			case errors.Is(err, client.ErrNacked) && served:
				q.nacks++
			case errors.Is(err, client.ErrConfirmTimeout) && (!served || f.p.client.Stats().Renewed > renewed):
				f.late++ // nobody was served, or a new channel has come for it
			case err != nil && !errors.Is(err, client.ErrNacked):
				f.p.t.Error(err)
			}
		}}))
		if err := f.witness.Publish("", q.name, false, false, amqp.Publishing{Body: []byte("x")}); err != nil {
			f.p.t.Fatal(err)
		}
		if !served {
			f.sent = append(f.sent, nil)
		} else {
			f.sent = append(f.sent, q)
		}
	}
}

// look finds out by fresh channels which queues are served.
func (f *failover) look(end chan struct{}) {
	for left := f.queues; len(left) > 0; left = f.ask(left) {
		select {
		case <-end:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ask asks over one channel, and returns those that are not served.
func (f *failover) ask(queues []*led) (left []*led) {
	ch, err := f.other.Channel()
	if err != nil {
		return queues
	}
	defer ch.Close()
	words := ch.NotifyPublish(make(chan amqp.Confirmation, len(queues)))
	if ch.Confirm(false) != nil {
		return queues
	}
	for _, q := range queues {
		if ch.Publish("", q.name, false, false, amqp.Publishing{Body: []byte("x")}) != nil {
			return queues
		}
	}
	acked := map[uint64]bool{}
	for over := time.After(5 * time.Second); len(acked) < len(queues); {
		select {
		case w := <-words:
			acked[w.DeliveryTag] = w.Ack
			continue
		case <-over:
		}
		break
	}
	for i, q := range queues {
		if acked[uint64(i+1)] {
			f.fresh <- q
		} else {
			left = append(left, q)
		}
	}
	return left
}
