package app

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
	"zamqp/publisher"
	"zamqp/publisher/certificate"
)

const (
	tlsHandshakeTimeout = 10 * time.Second
	// tlsHandshakesMax is how many handshakes a tlsDoor computes at once.
	tlsHandshakesMax = 64
	// tlsWaitingMax is how many handshakes are under way at once, including those whose
	// client has sent nothing.
	tlsWaitingMax = 512
)

// tlsDoor has listeners for TLS that share certificates: those of http.tls, or those of the
// embedded broker. Handshakes run on goroutines; after that the loop takes the connections
// over and needs no goroutine for them. A handshake that waits for its client holds no slot,
// so a silent client does not keep others waiting.
type tlsDoor struct {
	name   string // the name in logs and metrics
	loop   *loop.Loop
	log    zerolog.Logger
	store  *certificate.Store
	accept func(*loop.Conn, *tls.ConnectionState) loop.Peer
	// plain is the answer to a client that speaks HTTP without TLS; "" = none.
	plain  string
	slots  chan struct{} // slots; a handshake holds one while it computes
	opened []net.Listener
	ended  chan struct{} // closed when the loop has ended

	mu      sync.Mutex
	waiting []*shaking // handshakes in the order in which they came

	done   atomic.Uint64 // handshakes that succeeded
	failed atomic.Uint64
	hurry  atomic.Uint64 // closed to make room for others
}

// shaking is a connection during its handshake.
type shaking struct {
	*loop.Lower
	door   *tlsDoor
	heard  bool // its whole ClientHello has come; under door.mu
	shaken bool // the handshake is over; for the goroutine that reads
}

// newTLSDoor reads the certificates. accept gets the connections whose handshake is over.
func newTLSDoor(l *loop.Loop, log zerolog.Logger, name string, o certificate.Options, accept func(*loop.Conn, *tls.ConnectionState) loop.Peer) (*tlsDoor, error) {
	d := &tlsDoor{name: name, loop: l, log: log, accept: accept, slots: make(chan struct{}, tlsHandshakesMax), ended: make(chan struct{})}
	o.Hello = d.hear
	var err error
	if d.store, err = certificate.Open(o); err != nil {
		return nil, err
	}
	l.OnEnd(func() {
		d.close()
		close(d.ended)
	})
	d.warnOfExpiry(time.Now())
	go d.renew()
	return d, nil
}

// listen opens a listener.
func (d *tlsDoor) listen(address string) (net.Addr, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // like the loop's own listeners
	ln, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	d.opened = append(d.opened, ln)
	go d.acceptAll(ln)
	return ln.Addr(), nil
}

// close ends the listeners. Connections live on.
func (d *tlsDoor) close() {
	for _, ln := range d.opened {
		_ = ln.Close()
	}
}

func (d *tlsDoor) acceptAll(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // probably out of file descriptors: they become free again
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if d.loop.TakesFromShare(nc) {
			_ = nc.Close()
			continue
		}
		go d.shakeHands(d.enter(nc))
	}
}

// shakeHands makes the handshake. It holds a slot while it does not wait for the client.
func (d *tlsDoor) shakeHands(c *shaking) {
	ctx, cancel := context.WithTimeout(context.Background(), tlsHandshakeTimeout)
	defer cancel()
	nc := tls.Server(c, d.store.Config())
	d.slots <- struct{}{}
	err := nc.HandshakeContext(ctx)
	<-d.slots
	c.shaken = true
	d.leave(c)
	if err != nil {
		d.failed.Add(1)
		d.log.Debug().Str("listener", d.name).Stringer("remote", c.RemoteAddr()).Err(err).Msg("a TLS handshake failed")
		d.answerPlain(err)
		_ = c.Conn.Close()
		return
	}
	d.done.Add(1)
	state := nc.ConnectionState()
	if !d.loop.Post(func() {
		err := d.loop.AdoptOver(c.Lower, nc, func(c *loop.Conn) loop.Peer { return d.accept(c, &state) })
		if err != nil {
			d.log.Warn().Str("listener", d.name).Stringer("remote", c.RemoteAddr()).Err(err).Msg("a connection with TLS was closed")
		}
	}) {
		_ = nc.Close()
	}
}

// answerPlain tells a client that speaks HTTP without TLS what is wrong, if the error of the
// handshake shows that.
func (d *tlsDoor) answerPlain(err error) {
	var header tls.RecordHeaderError
	if d.plain == "" || !errors.As(err, &header) || header.Conn == nil || !looksLikeHTTP(header.RecordHeader) {
		return
	}
	nc := header.Conn.(*shaking).Lower.Conn
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(nc, d.plain); err != nil {
		return
	}
	// Closing while input is unread would be a reset, and the client could lose the answer.
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, nc, 64<<10)
	}
}

// looksLikeHTTP reports whether the octets that should be the header of a TLS record begin an
// HTTP request.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

// Read releases the slot while it waits.
func (c *shaking) Read(b []byte) (int, error) {
	if c.shaken {
		return c.Lower.Read(b)
	}
	<-c.door.slots
	n, err := c.Lower.Read(b)
	c.door.slots <- struct{}{}
	return n, err
}

// enter registers a connection. If there are too many, it closes the oldest one that has sent
// no ClientHello, or else the oldest.
func (d *tlsDoor) enter(nc net.Conn) *shaking {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) >= tlsWaitingMax {
		i := max(0, slices.IndexFunc(d.waiting, func(c *shaking) bool { return !c.heard }))
		_ = d.waiting[i].Conn.Close()
		d.waiting = slices.Delete(d.waiting, i, i+1)
		d.hurry.Add(1)
	}
	c := &shaking{Lower: loop.NewLower(nc), door: d}
	d.waiting = append(d.waiting, c)
	return c
}

func (d *tlsDoor) leave(c *shaking) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.waiting, c); i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
}

// hear is called when the whole ClientHello has come.
func (d *tlsDoor) hear(hello *tls.ClientHelloInfo) {
	if c, ok := hello.Conn.(*shaking); ok {
		d.mu.Lock()
		c.heard = true
		d.mu.Unlock()
	}
}

// Measure appends the numbers of the listeners, and how long their certificates are valid.
func (d *tlsDoor) Measure(dst []publisher.Metric) []publisher.Metric {
	d.mu.Lock()
	waiting := len(d.waiting)
	d.mu.Unlock()
	dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "listener", Value: d.name}},
		publisher.Metric{Name: "tls_handshakes_total", Help: "TLS handshakes of clients that succeeded.", Value: float64(d.done.Load())},
		publisher.Metric{Name: "tls_handshakes_failed_total", Help: "TLS handshakes of clients that failed: no TLS, no common version, no certificate, too slow. The log has them at the level debug.", Value: float64(d.failed.Load())},
		publisher.Metric{Name: "tls_handshakes_evicted_total", Help: "Connections closed during their handshake because 512 others had not finished theirs. They also count as failed.", Value: float64(d.hurry.Load())},
		publisher.Metric{Name: "tls_handshakes_waiting", Help: "Connections that are in their TLS handshake.", Value: float64(waiting)},
		publisher.Metric{Name: "tls_reload_failures_total", Help: "How often changed files of certificates could not be read, so that the old ones stayed.", Value: float64(d.store.Failures())},
	)
	now, pairs := time.Now(), d.store.Pairs()
	for i, c := range d.store.Certificates() {
		dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "listener", Value: d.name}, {Name: "file", Value: pairs[i].Cert}},
			publisher.Metric{Name: "tls_certificate_expiry_seconds", Help: "Seconds until the certificate expires; negative when it has.", Value: certificate.Left(c, now).Seconds()},
		)
	}
	return dst
}
