package client

import (
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// Client is a connection that lives until it is closed, over any number of sockets. Its owner
// reports each new socket and each failed dial. It keeps consumers, producers and waiting
// publishes from one socket to the next.
type Client struct {
	cfg   Config
	host  Host
	clock clock
	rnd   *rand.Rand
	stats Stats

	coming int // see Coming

	asked   Config       // as given to New; cfg is adapted to the broker
	has     capabilities // what the broker supports, as it has said last
	conn    *Conn        // nil while there is none
	lastErr error        // why there is none, or why the last one ended
	backoff backoff
	absence absence
	replay  replay

	producers   []*Producer // in order of registration, like the consumers
	consumers   []*Consumer
	noProducer  Producer // for publishes without a producer
	admin       adminChannel
	getChannels []*getChannel // one for each queue that is got from

	pub       *publishChannel
	isolated  *publishChannel   // for exchanges that nothing here declares; see lane
	retiring  []*publishChannel // replaced channels that still have publishes without outcome
	trust     trust
	hash      contentHash
	props     amqpproto.Properties // scratch: the properties of the current publish or request
	ids       messageIDs
	bodyLimit int // the largest body that the broker takes, from its error; 0 = unknown
	requests  requests
	waiting   waiting
	held      int       // octets that count against PublishMax
	heldCount int       // publishes that hold them
	undecided int       // how many of those have not been told their outcome
	expiry    int64     // when to look for expired publishes
	later     []outcome // reported at the next Tick
	times     confirmTimes
	blocked   bool      // connection.blocked came
	since     time.Time // when it came
	reason    string

	turn    uint64 // counts flushes: publishes of one turn belong together
	alarm   int64  // the next of the deadlines that sweep checks
	rearm   bool   // one of these deadlines has been set since the last sweep
	closing bool   // Close was called
	onClose []func(error)
}

// New returns a client that waits for Connect. It does not call Redial: the host
// makes the first dial on its own.
func New(cfg Config, host Host) *Client {
	c := &Client{cfg: cfg.withDefaults(), host: host}
	c.asked = c.cfg
	c.has = everything
	c.rnd = rand.New(rand.NewPCG(c.cfg.Seed, 0x7a616d7170))
	c.backoff = backoff{min: c.cfg.BackoffMin, max: c.cfg.BackoffMax}
	c.pub, c.isolated = newPublishChannel(c), newPublishChannel(c)
	c.hash, c.ids = contentHash{maphash.MakeSeed()}, newMessageIDs()
	c.noProducer.ready, c.noProducer.client = true, c
	c.admin.client = c
	c.requests.client = c
	c.requests.common, c.requests.isolated, c.requests.failing = newRequestChannel(&c.requests), newRequestChannel(&c.requests), newRequestChannel(&c.requests)
	nonce := rand.New(rand.NewPCG(c.cfg.Seed, 0x63616c6c)).Uint32()
	hex.Encode(c.requests.nonce[:], binary.BigEndian.AppendUint32(nil, nonce))
	return c
}

// Connect binds the client to a new socket. The first octets are pending when it
// returns. A second socket, or one after Close, is aborted, because two connections
// would deliver to the same consumers.
func (c *Client) Connect(w Wire) *Conn {
	conn := &Conn{client: c, wire: w, frameMax: c.cfg.FrameMax}
	switch {
	case c.closing:
		conn.err = ErrClosed
	case c.conn != nil:
		conn.err = ErrConnected
	default:
		c.conn = conn
		conn.out.Buf = append(conn.out.Buf, amqpproto.ProtocolHeader...)
		conn.patience = c.DialTimeout()
		conn.handshake.set(conn.patience)
		return conn
	}
	conn.state = connFailed
	w.Abort(conn.err)
	return conn
}

// DialFailed tells the client that a dial failed because nobody answered. The client
// asks for the next one.
func (c *Client) DialFailed(err error) { c.dialFailed(err, c.nobody) }

// DialRefused is DialFailed for a peer that answered but cannot be used, for example
// because of its certificate or ours.
func (c *Client) DialRefused(err error) {
	c.dialFailed(err, func() time.Duration { return c.backoff.next(c.rnd, c.clock.now) })
}

func (c *Client) dialFailed(err error, pause func() time.Duration) {
	if c.closing || c.conn != nil {
		return
	}
	c.lastErr = err
	after := pause()
	c.note(Event{Kind: EventDialFailed, Err: err, After: after})
	c.host.Redial(after)
}

// opened is called when the handshake is complete. It starts the replay.
func (c *Client) opened(conn *Conn) {
	c.lastErr = nil
	c.backoff.up(c.clock.now)
	c.stats.Connects++
	if c.stats.Connects > 1 {
		c.stats.Reconnects++
	}
	server := conn.server
	if missing := c.has.missing(); missing != "" {
		server += ", without " + missing
	}
	c.note(Event{Kind: EventConnected, Text: server})
	c.replay = replay{}
	c.replay.barrier.set(barrierMax)
	c.rearm = true
	c.trust.reset()
	c.bodyLimit = 0
	c.pub.start()
	c.requests.opened()
	c.advance()
}

// wakeWaiting makes the next flush try waiting publishes and requests.
func (c *Client) wakeWaiting() {
	c.waiting.wake()
	c.requests.woken = true
}

// lost is called when conn is over. cause is nil after an orderly close.
func (c *Client) lost(conn *Conn, cause error) {
	if c.conn != conn {
		return
	}
	c.conn = nil
	c.lastErr = cause
	c.blocked, c.reason = false, ""
	c.replay = replay{}
	err := &LostError{Connection: c.cfg.Name, Cause: cause}
	c.eachPublishChannel(func(p *publishChannel) { p.lost(err) })
	c.retiring = nil
	c.endLater(c.waiting.borrowed(), err)
	for _, p := range c.producers {
		p.lost()
	}
	for _, k := range slices.Clone(c.consumers) {
		k.lost()
	}
	if c.closing {
		c.note(Event{Kind: EventLost, Err: cause})
	} else {
		after := c.pause(conn, cause)
		c.note(Event{Kind: EventLost, Err: cause, After: after})
		c.host.Redial(after)
	}
	c.lostRequests(cause)
	c.tellLater()
	if c.closing {
		c.finish(cause)
	}
}

// lostRequests ends requests, gets and admin requests that wait for an answer.
func (c *Client) lostRequests(cause error) {
	var err error = &LostError{Connection: c.cfg.Name, Cause: cause}
	if c.closing {
		err = ErrClosed
	}
	c.requests.lost(err)
	c.admin.lost(err)
	channels := c.getChannels
	c.getChannels = nil
	for _, g := range channels {
		g.lost(err)
	}
}

// refuseDeclaration finds the registration or admin request whose method made the
// broker close the connection.
func (c *Client) refuseDeclaration(cause *amqpproto.ConnectionError) {
	if cause.Method == 0 {
		return
	}
	if a := &c.admin; a.asking() && a.ch != nil && a.ch.await.Answers(cause.Method) {
		a.ch = nil
		a.fail(cause)
	}
	inFlight := func(s *registration) bool { return s.ch != nil && s.ch.await.Answers(cause.Method) }
	for _, p := range c.producers {
		if inFlight(&p.registration) {
			p.declarationRefused(cause)
		}
	}
	for _, k := range slices.Clone(c.consumers) {
		if inFlight(&k.registration) {
			k.declarationRefused(cause)
		}
	}
}

// setBlocked stops publishes, or lets them continue. All other traffic continues.
func (c *Client) setBlocked(blocked bool, reason string) {
	if blocked == c.blocked {
		c.reason = reason
		return
	}
	c.blocked, c.reason, c.since = blocked, reason, c.clock.time(c.clock.now)
	kind := EventUnblocked
	if blocked {
		kind = EventBlocked
	}
	c.wakeWaiting()
	c.note(Event{Kind: kind, Text: reason})
}

// Tick tells the client the time while there is no connection, so that waiting
// publishes expire. Call it once after New, and then from a timer at the time that
// it returned last. While there is a connection it does nothing, because the
// connection's own Tick does this work. It returns the zero time when there is
// nothing left to do.
func (c *Client) Tick(now time.Time) (next time.Time) {
	t := c.clock.set(now)
	if c.conn == nil {
		at := c.tick(t)
		if c.closing && at == 0 {
			return time.Time{}
		}
		// A publish may come at any time, and cannot start a timer itself.
		endpoint.Sooner(&at, t+int64(time.Second))
		return c.clock.time(at)
	}
	return c.clock.time(t + int64(time.Second))
}

// tick does everything that depends on time. It returns when to call it again, or 0
// for never.
func (c *Client) tick(now int64) (next int64) {
	c.times.observe(now, &c.stats.ConfirmTimes)
	c.tellLater()
	c.tickPublishes(now)
	c.requests.tick(now)
	if c.closing && c.isOpen() && c.undecided == 0 {
		c.conn.flushAcks(true)
		c.conn.sendClose()
	}
	// Callbacks of one sweep may set deadlines, which the next sweep starts.
	for i := 0; i < 8 && (c.rearm || c.alarm != 0 && now >= c.alarm); i++ {
		c.rearm = false
		c.alarm = c.sweep(now)
	}
	c.stamp(now) // for publishes of the callbacks
	next = c.alarm
	if c.rearm || len(c.later) > 0 {
		next = now
	}
	c.pub.watch(now, &next)
	c.isolated.watch(now, &next)
	endpoint.Sooner(&next, c.expiry)
	endpoint.Sooner(&next, c.requests.expiry)
	return next
}

// sweep checks all deadlines that are rarely set.
func (c *Client) sweep(now int64) (next int64) {
	if !c.isOpen() {
		return 0
	}
	if c.replay.barrier.due(now, &next) {
		c.openBarrier()
	}
	if c.replay.turn.due(now, &next) {
		c.replay.holder = nil
		c.advance()
	}
	c.pub.sweep(now, &next)
	c.isolated.sweep(now, &next)
	c.requests.sweep(now, &next)
	for _, p := range c.producers {
		p.sweep(now, &next)
	}
	for _, k := range c.consumers {
		k.sweep(now, &next)
	}
	for _, g := range slices.Clone(c.getChannels) {
		if g.idle.due(now, &next) {
			g.retire()
		}
	}
	for _, ch := range slices.Clone(c.conn.channels) {
		if ch != nil && ch.limit.due(now, &next) {
			ch.expire()
		}
	}
	return next
}

// sweep starts the registration again when its backoff is over.
func (s *registration) sweep(now int64, next *int64) {
	if s.retry.due(now, next) && s.state == AwaitRetry {
		s.start()
	}
}

// isOpen reports whether methods may be sent.
func (c *Client) isOpen() bool { return c.conn != nil && c.conn.state == connOpen }

func (c *Client) wake() {
	if c.conn != nil {
		c.conn.wake()
	}
}

func (c *Client) note(e Event) {
	e.Connection = c.cfg.Name
	c.host.Note(e)
}
