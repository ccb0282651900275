package httpdoor

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/http1"
	"zamqp/publisher/websocket"
)

// A Wire is the connection under an exchange.
type Wire interface {
	http1.Wire
	RemoteAddr() net.Addr
	Pause(on bool) // stops and continues reading
}

// Limits say how much all connections together may hold; 0 is no limit.
type Limits struct {
	Connections int   // at once
	Bodies      int64 // octets of request bodies, from their first octet to the end of their call
}

// A Door makes the exchanges of a server's HTTP connections. Loop thread only.
type Door struct {
	server    *publisher.Server
	http      *http1.Server
	max       int // connections at once; 0 is no bound
	bodies    bodies
	turn      time.Time // the turn of the loop in which the next field was counted
	octets    int
	first     *exchange // the first open exchange
	open      int       // connections, hijacked ones included
	hijacked  int       // how many of those are hijacked: they have no exchange any more
	drain     func()    // called when the last has closed
	undrained *exchange // the drain has reached this exchange
	closed    bool
	refuse    uint64

	securePort int // of https
}

// New returns a door with the machine's limits.
func New(server *publisher.Server, cfg http1.Config, limits Limits) *Door {
	whole, any := server.BodyMax()
	cfg.OwnMax = any
	d := &Door{server: server, http: http1.NewServer(cfg), max: limits.Connections}
	d.bodies = bodies{max: limits.Bodies, one: max(whole, d.http.BodyMax())}
	server.AddMeter(d)
	return d
}

// RedirectTo sets the port that AcceptRedirected names.
func (d *Door) RedirectTo(port int) { d.securePort = port }

// AcceptTLS is Accept for a connection with TLS, whose handshake is over.
func (d *Door) AcceptTLS(w Wire, state *tls.ConnectionState) *exchange {
	x := d.Accept(w)
	if x != nil {
		x.tls = state
		x.Conn.Secure()
	}
	return x
}

// AcceptRedirected is Accept for a connection without TLS whose requests are answered with
// redirects to https, except those on routes that watch the server.
func (d *Door) AcceptRedirected(w Wire) *exchange {
	x := d.Accept(w)
	if x != nil {
		x.redirects = true
	}
	return x
}

// Accept returns the peer for a new connection, or nil when there are too many.
func (d *Door) Accept(w Wire) *exchange {
	if d.closed || d.max > 0 && d.open >= d.max {
		d.refuse++
		return nil
	}
	x := &exchange{door: d, wire: w}
	x.Conn = d.http.NewConn(w, x)
	x.next = d.first
	if d.first != nil {
		d.first.prev = x
	}
	d.first = x
	d.open++
	return x
}

// Open is the number of connections.
func (d *Door) Open() int { return d.open }

// Measure appends the numbers of the HTTP connections.
func (d *Door) Measure(dst []publisher.Metric) []publisher.Metric {
	s := d.http.Stats()
	return publisher.AppendMetrics(dst, nil,
		publisher.Metric{Name: "http_connections", Help: "HTTP connections that are open, hijacked ones included.", Value: float64(d.open)},
		publisher.Metric{Name: "http_connections_hijacked", Help: "HTTP connections that a handler has taken over (http.Hijacker) and not closed yet.", Value: float64(d.hijacked)},
		publisher.Metric{Name: "http_connections_refused_total", Help: "HTTP connections closed at once: over connections_max, or draining.", Value: float64(d.refuse)},
		publisher.Metric{Name: "http_heads_total", Help: "HTTP requests whose head was whole and well-formed.", Value: float64(s.Requests)},
		publisher.Metric{Name: "http_malformed_total", Help: "HTTP requests answered with an error before they became calls: malformed, too large, too slow.", Value: float64(s.Refused)},
		publisher.Metric{Name: "http_body_bytes", Help: "Octets of request bodies that are held, from their first octet to the end of their call.", Value: float64(d.bodies.held)},
		publisher.Metric{Name: "http_bodies_waiting", Help: "HTTP connections that are not read because http.bodies_max is reached.", Value: float64(d.bodies.waiting)},
		publisher.Metric{Name: "http_bodies_refused_total", Help: "HTTP requests answered 503 because http.bodies_max was reached.", Value: float64(d.bodies.refused)},
	)
}

// Retire makes the next answer of each connection its last one. New connections are served.
func (d *Door) Retire() { d.http.Retire() }

// Drain closes each connection as soon as it is idle. It calls done when only hijacked
// connections are left.
func (d *Door) Drain(done func()) {
	d.closed = true
	if d.first == nil {
		done()
		return
	}
	d.drain = done
	d.undrained = d.first
	d.drainSome()
}

// drainTurnMax is how many connections are drained in a turn. Closing one takes several system
// calls.
const drainTurnMax = 256

// drainSome is one slice of Drain.
func (d *Door) drainSome() {
	for n := 0; n < drainTurnMax && d.undrained != nil; n++ {
		x := d.undrained
		d.undrained = x.next
		x.Shutdown()
	}
	if d.undrained != nil {
		d.server.InNextTurn(d.drainSome)
	}
}

// An exchange is one connection: the machine that reads and writes it, and its current call
// if there is one. It is the loop's peer and the call's door.
type exchange struct {
	*http1.Conn                 // nil once the connection is a WebSocket
	socket      *websocket.Conn // nil before
	door        *Door
	wire        Wire
	call        *publisher.Call // being read, then being answered
	prev, next  *exchange
	busy        bool // call was dispatched
	streams     bool // call was dispatched before its body was here
	undecided   bool // the body streams if it is not here when what has come of it is read
	held        bool // the body is not read, because its call has no room for it
	ending      bool // the call will be dispatched when its body is in one piece
	eof         bool // the client will send nothing more
	gone        bool
	full        bool   // a stream waits for the client to take more
	body        body   // the request's body
	rest        []byte // the rest of a large answer, sent as fast as the client takes it
	octets      int64  // of the answer that is streamed
	local       net.Addr
	tls         *tls.ConnectionState // nil without TLS
	redirects   bool                 // its requests are redirected to https
}

// RemoteAddr is the client's address.
func (x *exchange) RemoteAddr() net.Addr { return x.wire.RemoteAddr() }

// LocalAddr is the address to which the client has connected, or nil if it is not known.
// The system is asked once per connection.
func (x *exchange) LocalAddr() net.Addr {
	if l, ok := x.wire.(interface{ LocalAddr() net.Addr }); ok && x.local == nil && !x.gone {
		x.local = l.LocalAddr()
	}
	return x.local
}

// TLS is the result of the connection's handshake, or nil without TLS.
func (x *exchange) TLS() *tls.ConnectionState { return x.tls }

// Head begins a request. It is the only place that copies the head.
func (x *exchange) Head(h *http1.Head) (status int) {
	if string(h.Method) == "AMQP" { // a mounted router recognises messages by it
		return http.StatusNotImplemented
	}
	x.call = x.door.server.NewCall()
	x.call.SetHTTP(h.Method, h.Target, h.Host, h.Fields, x)
	x.call.SetProtocol(h.Minor, h.KeepAlive)
	if x.redirects && x.door.server.RedirectToTLS(x.call, x.door.securePort) {
		x.DropBody()
		x.refuse()
		return 0
	}
	if h.HasBody() {
		x.call.ExpectBody(h.ContentLength)
		if x.expectBody() {
			x.chooseStreaming(h)
		}
	}
	return 0
}

// End is the end of a request. It dispatches the call.
func (x *exchange) End() {
	x.undecided = false
	if x.streams {
		x.endStream()
		return
	}
	x.door.bodies.read(x)
	x.dispatch()
}

// dispatch makes a call of the request, once its body is in one piece.
func (x *exchange) dispatch() {
	if x.ending = !x.call.EndBody(); x.ending {
		x.wire.Wake()
		return
	}
	x.busy = true
	x.door.server.Dispatch(x.call, x)
	x.cancelled()
}

// Tick continues work that was too much for one turn.
func (x *exchange) Tick(now time.Time) (next time.Time) {
	if x.ending {
		x.dispatch()
	}
	if x.socket != nil {
		return x.socket.Tick(now)
	}
	if next = x.Conn.Tick(now); x.ending {
		next = now
	}
	return next
}

// EOF is the end of the client's input. As in net/http, it ends the waits of the current
// call and of the requests that wait for their turn, because nearly always the client has
// gone. The answers are still sent, because the client may have closed only its side.
func (x *exchange) EOF() (more bool) {
	if x.eof = true; x.socket != nil {
		return x.socketEOF()
	}
	more = x.Conn.EOF()
	if more && !x.held { // else more of the body waits here
		x.cancelled()
	}
	return more
}

// cancelled ends the waits of the current call, if the client's input has ended.
func (x *exchange) cancelled() {
	if x.eof && x.busy {
		x.call.Cancel(publisher.ErrGone)
	}
}

// Gone is the end of the connection. It ends the waits of a running call, but not the call:
// what a call publishes must not depend on whether the client waits for the answer.
func (x *exchange) Gone(cause error) {
	if errors.Is(cause, http1.ErrTLS) {
		x.door.server.SpokeTLS(x.RemoteAddr())
	}
	x.gone, x.rest = true, nil
	c := x.call
	switch {
	case c == nil:
	case x.busy:
		x.cutBody(cause)
		c.Cancel(publisher.ErrGone)
		c.Wake() // ends the wait of a stream, which EOF does not end
	default:
		x.call, x.ending = nil, false
		x.door.server.Discard(c)
		x.door.bodies.release(x)
	}
	x.door.open--
	x.unlink()
}

// unlink takes the exchange out of the list of its door.
func (x *exchange) unlink() {
	d := x.door
	if d.undrained == x {
		d.undrained = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	}
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		d.first = x.next
	}
	x.prev, x.next = nil, nil
	if d.first == nil && d.drain != nil {
		done := d.drain
		d.drain = nil
		done()
	}
}

// Done answers.
func (x *exchange) Done(c *publisher.Call) {
	x.call, x.busy, x.full, x.streams = nil, false, false, false
	x.resume()
	x.door.bodies.release(x)
	if x.gone || x.socket != nil {
		return
	}
	p := c.Response()
	if c.Streamed() {
		if err := c.Broken(); err != nil {
			x.Cut(err)
			return
		}
		if p.Ends() {
			x.SetClose()
		}
		x.FinishWith(p.Trailers())
		return
	}
	if len(p.Body) > largeAnswer && hasBody(p.Status) {
		x.begin(p, int64(len(p.Body)))
		if c.Request().Method() != http.MethodHead {
			x.rest, p.Body = p.Body, nil
		}
		x.more()
		return
	}
	if p.Closes() {
		x.SetClose()
	}
	x.Answer(p.Status, p.ContentType, p.Lines(), p.Body)
}

// largeAnswer is the length above which an answer is copied to the output in pieces.
const largeAnswer = 1 << 20

// hasBody reports whether an answer with this status has a body. RFC 9110 §15.3.5, §15.3.6,
// §15.4.5.
func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusNotModified
}

// answerPiece is how much of a large answer is copied to the output at a time.
const answerPiece = 256 << 10

// more copies the next piece of a large answer, and ends the answer after the last piece.
func (x *exchange) more() {
	n := min(len(x.rest), answerPiece)
	_ = x.Conn.Write(x.rest[:n]) // no error: the answer has the announced length
	if x.rest = x.rest[n:]; len(x.rest) == 0 {
		x.rest = nil
		x.Finish()
	}
}

// highWater is how many octets of a stream, besides its last piece, may wait for the client.
// The next piece is made when nothing waits, so a client that stops reading costs the memory
// of one piece. The system's own buffer has more, and keeps the network busy meanwhile.
const highWater = publisher.StreamPiece - 1

// streamTurnMax is how many octets all streams may produce in a turn of the loop. Beyond it,
// each stream continues when some of its output has been sent.
const streamTurnMax = 1 << 20

// Start sends the head of a streamed answer.
func (x *exchange) Start(c *publisher.Call, length int64) {
	if !x.gone {
		x.begin(c.Response(), length)
	}
}

// begin sends the head of an answer whose body comes in pieces.
func (x *exchange) begin(p *publisher.Response, length int64) {
	if p.Closes() {
		x.SetClose()
	}
	fields := p.Lines()
	if p.ContentType != "" {
		if with, err := http1.AppendField(fields, "Content-Type", p.ContentType); err == nil {
			fields = with
		}
	}
	x.octets = 0
	x.Conn.Start(p.Status, fields, length)
}

// Inform sends an informational answer.
func (x *exchange) Inform(_ *publisher.Call, status int, lines []byte) {
	if !x.gone {
		x.Conn.Inform(status, lines)
	}
}

// Write sends a piece of a streamed answer.
func (x *exchange) Write(_ *publisher.Call, p []byte) (more bool, err error) {
	if x.gone {
		return false, publisher.ErrGone
	}
	if err := x.Conn.Write(p); err != nil {
		return false, err
	}
	x.octets += int64(len(p))
	d := x.door
	if now := d.server.Now(); !now.Equal(d.turn) {
		d.turn, d.octets = now, 0
	}
	d.octets += len(p)
	waiting := x.OutLen() // 0 for HEAD: then nothing would wake the stream
	x.full = waiting > highWater || waiting > 0 && d.octets > streamTurnMax
	return !x.full, nil
}

// Octets is the length of the body of the answer that was streamed last.
func (x *exchange) Octets() int64 { return x.octets }

// Written checks that the answer has the length that was announced.
func (x *exchange) Written(*publisher.Call) error {
	if x.gone {
		return nil
	}
	return x.Err()
}

// Sent lets a stream continue when the client has taken enough.
func (x *exchange) Sent(n int) {
	if x.socket != nil {
		x.socket.Sent(n)
		return
	}
	x.Conn.Sent(n)
	if len(x.rest) > 0 && x.OutLen() <= highWater/2 {
		x.more()
	}
	if x.full && x.call != nil && x.OutLen() == 0 {
		x.full = false
		x.call.Wake()
	}
}
