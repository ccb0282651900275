package differential_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"zamqp/amqpproto"
)

// patience is how long a broker may take for one answer. A broker that is
// silent for longer has none, and the transcript says so.
const patience = 8 * time.Second

// message is one thing that a broker has sent on one channel: a method, with its content.
type message struct {
	channel uint16
	method  amqpproto.Method // nil when it cannot be decoded
	id      amqpproto.MethodID
	props   []byte
	body    []byte
	fault   string // what was wrong with it on the wire
}

// link is one connection with as little as possible between a program and the wire: it writes
// the octets that it is given, and reads messages one by one. A machine with its own rules,
// such as our client, would hide what the test looks for.
type link struct {
	nc    net.Conn
	chunk []byte
	buf   []byte // read and not yet taken; what messages are views into is never written again
	off   int
	eof   bool
	part  map[uint16]*message // of content under way, by channel
	left  map[uint16]uint64   // octets of body still to come
	head  map[uint16]bool     // a content header is awaited
	last  *message            // what read has found

	heartbeat uint16 // what tune-ok says, in seconds
	dumb      bool   // start-ok announces no capabilities
}

func dial(addr string) (*link, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &link{nc: nc, chunk: make([]byte, 8<<10), part: map[uint16]*message{}, left: map[uint16]uint64{}, head: map[uint16]bool{}}, nil
}

func (l *link) close() { _ = l.nc.Close() }

// half ends the sending, and goes on reading.
func (l *link) half() { _ = l.nc.(*net.TCPConn).CloseWrite() }

// write sends octets. A peer that has closed already is found by reading.
func (l *link) write(b []byte) {
	_ = l.nc.SetWriteDeadline(time.Now().Add(patience))
	_, _ = l.nc.Write(b)
}

func (l *link) send(channel uint16, methods ...amqpproto.Method) {
	var out []byte
	for _, m := range methods {
		out = must(amqpproto.AppendMethod(out, channel, m))
	}
	l.write(out)
}

var errSilent = errors.New("no answer")

// next returns the next message; io.EOF when the connection has ended, and
// errSilent when nothing came by the deadline.
func (l *link) next(deadline time.Time) (*message, error) {
	for {
		f, n, err := amqpproto.CutFrame(l.buf[l.off:], 0)
		if err != nil {
			l.eof = true
			return &message{fault: err.Error()}, nil
		}
		if n == 0 {
			if err := l.fill(deadline); err != nil {
				return nil, err
			}
			continue
		}
		l.off += n
		if m := l.frame(f); m != nil {
			return m, nil
		}
	}
}

func (l *link) fill(deadline time.Time) error {
	if l.eof {
		return io.EOF
	}
	if l.off > 0 {
		l.buf = append(l.buf[:0:0], l.buf[l.off:]...)
		l.off = 0
	}
	_ = l.nc.SetReadDeadline(deadline)
	n, err := l.nc.Read(l.chunk)
	l.buf = append(l.buf, l.chunk[:n]...)
	switch {
	case n > 0:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	}
	l.eof = true
	return io.EOF
}

// frame takes one frame and returns the message that it completes.
func (l *link) frame(f amqpproto.Frame) *message {
	ch := f.Channel
	switch f.Type {
	case amqpproto.FrameHeartbeat:
		return nil
	case amqpproto.FrameMethod:
		m := &message{channel: ch}
		var err error
		if m.id, _, err = amqpproto.SplitMethod(f.Payload); err == nil {
			m.method, err = amqpproto.DecodeMethod(f.Payload)
		}
		if err != nil {
			m.fault = err.Error()
			return m
		}
		if l.part[ch] != nil {
			m.fault = "a method inside a content"
		}
		if m.id.HasContent() {
			l.part[ch], l.head[ch] = m, true
			return nil
		}
		return m
	case amqpproto.FrameHeader:
		m := l.part[ch]
		var h amqpproto.ContentHeader
		if m == nil || !l.head[ch] || h.Decode(f.Payload) != nil {
			return &message{channel: ch, fault: "a misplaced content header"}
		}
		m.props, l.left[ch], l.head[ch] = h.RawProperties, h.BodySize, false
	case amqpproto.FrameBody:
		m := l.part[ch]
		if m == nil || l.head[ch] || uint64(len(f.Payload)) > l.left[ch] {
			return &message{channel: ch, fault: "a misplaced body"}
		}
		m.body = append(m.body, f.Payload...)
		l.left[ch] -= uint64(len(f.Payload))
	}
	if l.left[ch] > 0 {
		return nil
	}
	m := l.part[ch]
	delete(l.part, ch)
	return m
}

// frameMax is what the client asks for: so little that bodies of some
// thousand octets take several frames.
const frameMax = 8192

// channelMax is the highest channel that programs and observers use.
const channelMax = 63

// open does the handshake. It returns nil only after connection.open-ok.
func (l *link) open(user, password, vhost string) error {
	deadline := time.Now().Add(patience)
	l.write([]byte(amqpproto.ProtocolHeader))
	if err := l.want(deadline, amqpproto.IDConnectionStart); err != nil {
		return err
	}
	start := startOk(user, password)
	if l.dumb {
		start.ClientProperties = nil
	}
	l.send(0, start)
	if err := l.want(deadline, amqpproto.IDConnectionTune); err != nil {
		return err
	}
	l.send(0, &amqpproto.ConnectionTuneOk{ChannelMax: channelMax, FrameMax: frameMax, Heartbeat: l.heartbeat},
		&amqpproto.ConnectionOpen{VirtualHost: []byte(vhost)})
	return l.want(deadline, amqpproto.IDConnectionOpenOk)
}

func (l *link) want(deadline time.Time, id amqpproto.MethodID) error {
	m, err := l.next(deadline)
	switch {
	case err != nil:
		return err
	case m.id != id:
		return errors.New("instead of " + id.String() + ": " + show(m))
	}
	return nil
}

// startOk is the client's half of the handshake with every capability that
// the brokers offer.
func startOk(user, password string) *amqpproto.ConnectionStartOk {
	capabilities := table{}
	for _, name := range []string{"publisher_confirms", "exchange_exchange_bindings", "basic.nack",
		"consumer_cancel_notify", "connection.blocked", "authentication_failure_close"} {
		capabilities[name] = true
	}
	return &amqpproto.ConnectionStartOk{
		ClientProperties: encoded(table{"product": "differential", "capabilities": capabilities}),
		Mechanism:        []byte("PLAIN"),
		Response:         []byte("\x00" + user + "\x00" + password),
		Locale:           []byte("en_US"),
	}
}

// publication is basic.publish with its content as frames.
func publication(channel uint16, m *amqpproto.BasicPublish, p *amqpproto.Properties, body []byte) []byte {
	out := must(amqpproto.AppendMethod(nil, channel, m))
	out = must(amqpproto.AppendContentHeaderProperties(out, channel, amqpproto.ClassBasic, uint64(len(body)), p))
	for len(body) > 0 {
		n := min(len(body), frameMax-amqpproto.FrameOverhead)
		out = amqpproto.AppendFrame(out, amqpproto.FrameBody, channel, body[:n])
		body = body[n:]
	}
	return out
}

// methodFrame is a method frame of any id and arguments, valid or not.
func methodFrame(channel, class, method uint16, args string) []byte {
	payload := binary.BigEndian.AppendUint16(nil, class)
	payload = binary.BigEndian.AppendUint16(payload, method)
	return amqpproto.AppendFrame(nil, amqpproto.FrameMethod, channel, append(payload, args...))
}

// must is for encoders: the generator may not produce anything that they refuse.
func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// read is next for a handshake. It records a protocol header, with which a server refuses
// another version, and the end, and returns false then.
func (l *link) read(r *run) bool {
	m, err := l.next(time.Now().Add(patience))
	l.last = m
	switch {
	case err == nil && m.fault != "" && len(l.buf) >= 8 && string(l.buf[:4]) == "AMQP":
		r.say("", "protocol header %q", l.buf[:8])
		return false
	case err == nil && m.fault != "":
		r.say("", "octets that are no frame: %q", l.buf[l.off:])
		return false
	case err == nil:
		return true
	case errors.Is(err, errSilent):
		r.say("", "SILENT")
	default:
		r.say("", "end of stream")
	}
	return false
}
