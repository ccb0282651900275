package amqpdoor

import (
	"errors"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// depths knows how much waits in the queues of a connection's consumers. It asks the broker, by a
// passive declare, for one queue after the other. Any broker answers that. A queue that does not
// exist costs the admin channel, which only such questions use; the next one opens it again.
type depths struct {
	link     *link
	interval time.Duration
	known    map[string]*depth // by queue
	todo     []string          // the queues that this round has still to ask for
	pace     time.Duration     // between two questions
}

// A depth is what the broker has said about one queue.
type depth struct {
	messages, consumers int
	at                  time.Time // when it said so; zero = it did not
	skip                int       // how many rounds leave it out, because it does not exist
}

const (
	// depthPace is the longest pause between two questions of a round.
	depthPace = 20 * time.Millisecond
	// depthSkip is how many rounds leave out a queue that the broker refused to tell about. It
	// writes each such refusal to its log.
	depthSkip = 9
	// depthAge is after how many rounds without an answer a depth is not shown any more.
	depthAge = 3
)

// WatchQueues asks every so often how much waits in the consumers' queues. Call it once, after Link.
func (d *Door) WatchQueues(interval time.Duration) {
	for _, l := range d.links {
		if len(l.consumers) > 0 {
			l.depths = &depths{link: l, interval: interval, known: map[string]*depth{}}
			d.runtime.After(min(interval, time.Second), l.depths.round)
		}
	}
}

// round begins to ask for all queues, if the round before is over.
func (p *depths) round() {
	if p.link.door.stopped {
		return
	}
	p.link.door.runtime.After(p.interval, p.round)
	if len(p.todo) > 0 {
		return
	}
	listed := map[string]bool{}
	for _, k := range p.link.consumers {
		for _, q := range k.queues() {
			if q.name != "" && !listed[q.name] {
				listed[q.name] = true
				p.plan(q.name)
			}
		}
	}
	for name := range p.known {
		if !listed[name] {
			delete(p.known, name)
		}
	}
	if len(p.todo) > 0 {
		p.pace = min(p.interval/time.Duration(len(p.todo)), depthPace)
		p.next()
	}
}

// plan adds a queue to the round.
func (p *depths) plan(queue string) {
	d := p.known[queue]
	if d == nil {
		d = &depth{}
		p.known[queue] = d
	}
	if d.skip > 0 {
		d.skip--
		return
	}
	p.todo = append(p.todo, queue)
}

// next asks for one queue. Without a connection the round ends.
func (p *depths) next() {
	if len(p.todo) == 0 || p.link.door.stopped {
		p.todo = nil
		return
	}
	queue := p.todo[0]
	p.todo = p.todo[1:]
	err := p.link.client.QueueInfo(queue, func(messages, consumers uint32, err error) {
		p.told(queue, int(messages), int(consumers), err)
	})
	if err != nil {
		p.todo = nil
	}
}

// told takes the broker's answer.
func (p *depths) told(queue string, messages, consumers int, err error) {
	var refused *amqpproto.ChannelError
	switch d := p.known[queue]; {
	case d == nil:
	case err == nil:
		*d = depth{messages: messages, consumers: consumers, at: p.link.door.runtime.Now()}
	case errors.As(err, &refused):
		*d = depth{skip: depthSkip}
	default: // the connection is lost
		p.todo = nil
		return
	}
	p.link.door.runtime.After(p.pace, p.next)
}

// An ownQueue is a queue that belongs to a consumer.
type ownQueue struct {
	role string // main, retry, dead, quarantine
	name string // "" while the broker has not named it
}

// queues lists the queues of a consumer, with none while it has not declared them.
func (k *consumer) queues() (all []ownQueue) {
	if up := k.report().Ready; !up {
		return nil
	}
	dead := k.declared.DeadLetterQueue()
	for i, q := range k.spec.Queues {
		own := ownQueue{"retry", q.Name}
		switch {
		case i == 0:
			own = ownQueue{"main", k.main.queue()}
		case q.Name == dead:
			own.role = "dead"
		case q.Name == publisher.QuarantineQueue(k.declared.Queue):
			own.role = "quarantine"
		}
		all = append(all, own)
	}
	return all
}

// measure appends what waits in the queues of one consumer.
func (p *depths) measure(dst []publisher.Metric, k *consumer) []publisher.Metric {
	for _, q := range k.queues() {
		d := p.known[q.name]
		if d == nil || d.at.IsZero() || p.link.door.runtime.Now().Sub(d.at) > depthAge*p.interval {
			continue
		}
		name := q.name
		if k.declared.ServerNamed && q.role == "main" {
			name = "" // it has another name after each reconnect
		}
		dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "connection", Value: p.link.name}, {Name: "consumer", Value: k.name},
			{Name: "queue", Value: name}, {Name: "role", Value: q.role}},
			publisher.Metric{Name: "queue_messages", Help: "Messages that wait in a queue of the consumer, as the broker has said: metrics.queue_interval says how often it is asked. role is main, retry, dead or quarantine. A queue that the broker has named has no name here.", Value: float64(d.messages)},
			publisher.Metric{Name: "queue_consumers", Help: "Consumers of the queue, of all processes.", Value: float64(d.consumers)})
	}
	return dst
}
