package amqpdoor

import (
	"sort"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/publisher/dedupe"
	"zamqp/publisher/inhand"
	"zamqp/publisher/spool"
)

// A Door holds the links of a server to its brokers. Loop thread only.
type Door struct {
	server    *publisher.Server
	runtime   publisher.Runtime
	log       zerolog.Logger
	links     map[string]*link
	elections []*election
	stores    map[string]*dedupe.Store // of the ids that consumers have handled
	spools    map[string]*spool.Spool
	outboxes  map[string]func() bool // by connection; see Outbox
	hand      *inhand.Journal        // of the messages that are being handled; nil if there is none
	running   int                    // messages that are being handled
	quiet     quiet
	stopped   bool // Stop was called
}

// link is one connection with the consumers that live on it.
type link struct {
	door      *Door
	name      string
	client    *client.Client
	reply     *sender
	consumers []*consumer
	producers []*client.Producer
	byName    map[string]*client.Producer
	able      func() bool // whether the outbox takes publishes without the broker; nil if there is none
	spool     *spooler    // nil if there is none
	depths    *depths     // of the consumers' queues; nil if nobody asks
}

// New returns a door without links.
func New(server *publisher.Server, runtime publisher.Runtime, log zerolog.Logger) *Door {
	d := &Door{server: server, runtime: runtime, log: log, links: map[string]*link{}, spools: map[string]*spool.Spool{}, stores: map[string]*dedupe.Store{}, outboxes: map[string]func() bool{}}
	d.quiet.door = d
	server.AddReporter(d)
	server.AddMeter(d)
	return d
}

// Spool gives a connection a store for publishes that its broker cannot take. Call it before
// Link. The door closes the store.
func (d *Door) Spool(name string, store *spool.Spool) { d.spools[name] = store }

// Link registers the server's producers and consumers of one connection with its client.
// prefetch is for consumers that set none. A consumer is left out if enabled returns false.
func (d *Door) Link(name string, c *client.Client, prefetch int, enabled func(consumer string) bool) {
	l := &link{door: d, name: name, client: c, reply: &sender{client: c}, byName: map[string]*client.Producer{}, able: d.outboxes[name]}
	d.links[name] = l
	d.server.BindQueues(name, queues{d, c})
	if store := d.spools[name]; store != nil {
		l.spool = newSpooler(l, store)
		l.spool.turn() // sends what an earlier process left on the disk
	}
	t := newTopology(name, d.server.Producers(), d.server.Consumers())
	for _, p := range t.producers {
		made := c.Produce(client.ProducerSpec{Name: p, Topology: t.producer(p)})
		l.producers = append(l.producers, made)
		l.byName[p] = made
		s := &sender{client: c, producer: made, spool: l.spool}
		if l.able != nil {
			s.rows = &rowTarget{connection: name, producer: p}
		}
		d.server.Bind(p, s)
	}
	for _, k := range t.consumers {
		if enabled(k) {
			l.consume(k, t, prefetch)
		}
	}
}

func (l *link) consume(name string, t *topology, prefetch int) {
	declared := t.declared[name]
	k := &consumer{link: l, name: name, declared: declared, known: newAttempts()}
	k.throttle.init(k)
	k.trials.k = k
	if store := l.door.stores[name]; store != nil {
		k.dedupe = newDeduper(k, store)
	} else if declared.Dedupe.Key != "" && declared.Dedupe.Database != "" {
		k.dedupe = newDeduper(k, inDatabase{})
	}
	k.spec = client.ConsumerSpec{
		Name: name, Topology: t.consumer(name), NoAck: declared.NoAck, Exclusive: declared.ExclusiveConsumer,
		SingleActive: declared.SingleActive,
		Prefetch:     uint16(min(prefetch, 0xFFFF)), DeclareOnly: !l.door.server.Consumes(name), Args: consumeArguments(&declared),
	}
	if declared.Prefetch > 0 {
		k.spec.Prefetch = uint16(min(declared.Prefetch, 0xFFFF))
	}
	if declared.Type() == publisher.QueueStream && k.spec.Prefetch == 0 {
		k.spec.Prefetch = streamPrefetch
	}
	if quarantine, ok := t.quarantine(name); ok && !k.spec.DeclareOnly {
		k.apart = client.ConsumerSpec{Name: name + ".quarantine", Topology: client.Topology{Queues: []client.Queue{quarantine}},
			Prefetch: 1, Args: consumeArguments(&declared)}
		if dead, ok := quarantine.Args["x-dead-letter-routing-key"].(string); ok {
			k.apart.Queues = append(k.apart.Queues, t.deadQueue(dead))
		}
	}
	k.start()
	if !k.spec.DeclareOnly {
		l.door.server.BindConsumer(name, k)
	}
	l.consumers = append(l.consumers, k)
}

// streamPrefetch is the prefetch for consumers of streams that set none: RabbitMQ requires one.
const streamPrefetch = 100

// consumeArguments returns the arguments of basic.consume.
func consumeArguments(c *publisher.Consumer) publisher.Table {
	args := publisher.Table{}
	if c.Priority != 0 {
		args["x-priority"] = int32(c.Priority)
	}
	if c.StreamOffset != "" {
		args["x-stream-offset"] = streamOffset(c.StreamOffset)
	}
	if len(args) == 0 {
		return nil
	}
	return args
}

// streamOffset turns the setting into a value that RabbitMQ knows: a word, a number, a time,
// or an age such as "1h".
func streamOffset(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t
	}
	return text
}

// Report returns the state of the connections and their consumers.
func (d *Door) Report() []publisher.Status {
	var all []publisher.Status
	for _, l := range d.links {
		s := l.report()
		away := !s.Ready && (l.spool != nil && l.spool.unable() == nil || l.able != nil && l.able())
		if away { // HTTP is served without the broker, and /readyz is about HTTP
			s.Ready = true
		}
		all = append(all, s)
		if l.spool != nil {
			all = append(all, l.spool.report())
		}
		for _, k := range l.consumers {
			s := k.report()
			s.Ready = s.Ready || away && l.client.State() != client.Connected
			all = append(all, s)
		}
	}
	return all
}

// report returns the state of the connection alone.
func (l *link) report() publisher.Status {
	s := publisher.Status{Kind: "connection", Name: l.name, Ready: l.client.Ready(), State: l.client.State().String()}
	if s.State == client.Connected.String() && !s.Ready {
		s.State = "declaring" // publishes do not leave yet
	}
	if blocked, why := l.client.Blocked(); blocked {
		s.State, s.Ready = "blocked", false
		s.Detail = "the broker blocks publishers since " + l.client.BlockedSince().Format(time.RFC3339) + ": " + why +
			": give the broker what it is short of (rabbitmqctl status, or the part broker); publishes go on by themselves"
	} else if err := l.client.Err(); err != nil && !s.Ready {
		s.Detail = err.Error()
	}
	return s
}

// Stop cancels every consumer, gives back the messages that wait for another attempt, and
// hands clocks over to other processes. It calls done when no more deliveries can come.
func (d *Door) Stop(done func()) {
	d.stopped = true
	left := 1
	one := func() {
		if left--; left == 0 {
			done()
		}
	}
	for _, l := range d.sorted() {
		for _, k := range l.consumers {
			left++
			k.stop(one)
		}
	}
	for _, e := range d.elections {
		left++
		e.leave(one)
	}
	one()
}

// Close ends the connections cleanly: publishes, confirms and acks are
// flushed first. done gets the first error.
func (d *Door) Close(done func(error)) {
	d.closeStores(func() { d.closeLinks(done) }) // messages are acked when their ids are on disk
}

func (d *Door) closeLinks(done func(error)) {
	left := 1
	var first error
	one := func(err error) {
		if first == nil {
			first = err
		}
		if left--; left == 0 {
			done(first)
		}
	}
	for _, l := range d.sorted() {
		left++
		l.client.Close(func(err error) {
			if l.spool != nil {
				l.spool.close()
			}
			one(err)
		})
	}
	one(nil)
}

// End releases the directories of the spools, even if Close has not ended. Every message
// that was reported as stored is stored. No call may be left. If Stop was not called, for
// example because the loop panicked, the evidence of the messages in hand stays.
func (d *Door) End() {
	for _, l := range d.links {
		if l.spool != nil {
			l.spool.close()
		}
	}
	for name, store := range d.stores {
		if err := store.Close(); err != nil {
			d.log.Warn().Err(err).Str("consumer", name).Msg("the ids of handled messages were not closed cleanly")
		}
	}
	if d.hand != nil {
		d.hand.Close(d.stopped)
	}
}

func (d *Door) sorted() []*link {
	links := make([]*link, 0, len(d.links))
	for _, l := range d.links {
		links = append(links, l)
	}
	sort.Slice(links, func(i, j int) bool { return links[i].name < links[j].name })
	return links
}

// A sender publishes for one producer of a connection. The one without a producer sends the
// replies.
type sender struct {
	client   *client.Client
	producer *client.Producer
	spool    *spooler        // nil if there is none
	rows     *rowTarget      // nil if publishes do not become rows
	out      client.Outgoing // reused
}

// Rows returns the names with which publishes of a call that has joined SQL become rows. ok is
// false if they do not.
func (s *sender) Rows() (connection, producer string, ok bool) {
	if s.rows == nil {
		return "", "", false
	}
	return s.rows.connection, s.rows.producer, true
}

// Foresee returns the error with which these publishes would fail now, or nil.
func (s *sender) Foresee(count, octets, size int) error {
	if s.spool != nil {
		return s.spool.foresee(count, octets, size)
	}
	return s.client.Foresee(s.producer, count, octets)
}

// Send publishes. The publication stays valid until it is confirmed, so the client does not
// copy it.
func (s *sender) Send(p *publisher.Publication, done publisher.Confirmer) error {
	if s.spool != nil {
		return s.spool.send(s.producer, p, done)
	}
	s.out = client.Outgoing{
		Exchange: p.Exchange, RoutingKey: p.RoutingKey, Mandatory: p.Mandatory,
		RawProperties: p.RawProperties, Body: p.Body, Lent: true, Group: p.Group(),
	}
	err := s.client.Publish(s.producer, &s.out, done)
	s.out = client.Outgoing{} // which may be large
	return err
}
