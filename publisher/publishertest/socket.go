package publishertest

import (
	"net/http"

	"zamqp/publisher"
	"zamqp/publisher/websocket"
)

// A Socket is the client's end of a WebSocket in memory: see [Server.Dial].
type Socket struct {
	s      *Server
	door   *waiter
	header http.Header
	ends   [2]*socketEnd // the server's and the client's
	came   []SocketMessage
	closed *publisher.SocketError
}

// A SocketMessage is a message that a handler has sent.
type SocketMessage struct {
	Kind publisher.MessageKind
	Data string
}

// Dial opens a WebSocket ([publisher.WebSocket]), until the end of the test. fields are further
// header fields, as "Name: value". The test fails if the answer is not 101: use [Server.TryDial]
// for other answers.
//
//	chat := s.Dial("/chat")
//	chat.Send("hello")
//	if got := chat.Next(); got.Data != "hello" { … }
//	chat.Close(1000, "")
func (s *Server) Dial(target string, fields ...string) *Socket {
	s.t.Helper()
	c, answer := s.TryDial(target, fields...)
	if c == nil {
		s.t.Fatalf("publishertest: %s is answered %d %s: %v", target, answer.Status, answer.Body, answer.Err)
	}
	return c
}

// TryDial is [Server.Dial] for any answer, which it returns. If that is not 101, the socket is
// nil.
func (s *Server) TryDial(target string, fields ...string) (*Socket, Response) {
	s.t.Helper()
	fields = append([]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, fields...)
	c := &Socket{s: s, door: &waiter{}}
	c.door.socket = c
	s.server.Dispatch(s.newRequest(http.MethodGet, target, "", fields), c.door)
	c.turn(func() bool { return c.header != nil || c.door.over })
	if c.header == nil {
		return nil, c.door.response
	}
	s.t.Cleanup(func() {
		if !c.door.over {
			c.Drop()
		}
	})
	return c, Response{Status: http.StatusSwitchingProtocols, Header: c.header}
}

// Upgrade implements [publisher.SocketDoor]: it makes a WebSocket of a call whose client is a
// Socket.
func (w *waiter) Upgrade(_ *publisher.Call, lines []byte, open func(websocket.Wire) *websocket.Conn) error {
	c := w.socket
	if c == nil {
		return http.ErrNotSupported
	}
	c.header = headerOf(lines)
	server, client := &socketEnd{}, &socketEnd{}
	server.Conn = open(server)
	cfg := websocket.Config{MessageMax: 1 << 30}.WithDefaults()
	client.Conn = websocket.NewServer().NewClient(&cfg, client, (*socketClient)(c))
	c.ends = [2]*socketEnd{server, client}
	return nil
}

// Send sends a text.
func (c *Socket) Send(text string) { c.write(true, text) }

// SendBinary sends a binary message.
func (c *Socket) SendBinary(data []byte) { c.write(false, string(data)) }

func (c *Socket) write(text bool, data string) {
	c.s.t.Helper()
	if !c.ends[1].Write(text, true, true, []byte(data)) {
		c.s.t.Fatal("publishertest: sent on a socket that is closed")
	}
	c.settle()
}

// Next waits for the next message. While the handler sleeps, it moves time. The test fails if no
// message comes, because everything waits or the socket is closed.
func (c *Socket) Next() SocketMessage {
	c.s.t.Helper()
	c.turn(func() bool { return len(c.came) > 0 || c.closed != nil })
	if len(c.came) == 0 {
		c.s.t.Fatalf("publishertest: no message comes: %v", c.closed)
	}
	next := c.came[0]
	c.came = c.came[1:]
	return next
}

// Messages returns the messages that have come and were not returned before, without moving
// time.
func (c *Socket) Messages() []SocketMessage {
	c.s.t.Helper()
	c.settle()
	came := c.came
	c.came = nil
	return came
}

// Subprotocol is what the server has agreed to.
func (c *Socket) Subprotocol() string { return c.header.Get("Sec-Websocket-Protocol") }

// Close sends a close frame, and waits until the handler's call is over. It returns the outcome
// of the call.
func (c *Socket) Close(code int, reason string) publisher.Outcome {
	c.s.t.Helper()
	c.ends[1].Shut(code, reason)
	return c.Outcome()
}

// Drop cuts the connection, and waits until the handler's call is over. It returns the outcome of
// the call.
func (c *Socket) Drop() publisher.Outcome {
	c.s.t.Helper()
	for _, e := range c.ends {
		e.Lost(nil)
		e.closed, e.lost = true, true
	}
	return c.Outcome()
}

// Outcome waits until the handler's call is over, and returns its outcome.
func (c *Socket) Outcome() publisher.Outcome {
	c.s.t.Helper()
	c.turn(func() bool { return c.door.over })
	c.settle()
	return c.door.outcome
}

// Closed waits until the server has closed the socket, and returns the code and the reason.
func (c *Socket) Closed() (code int, reason string) {
	c.s.t.Helper()
	c.turn(func() bool { return c.closed != nil })
	return c.closed.Code, c.closed.Reason
}

// socketClient is a Socket as the Handler of its machine.
type socketClient Socket

// Message takes what has come.
func (c *socketClient) Message() {
	for {
		text, p, ok := c.ends[1].Next()
		if !ok {
			return
		}
		kind := publisher.BinaryMessage
		if text {
			kind = publisher.TextMessage
		}
		c.came = append(c.came, SocketMessage{kind, string(p)})
	}
}

// Room does nothing: the test does not wait for room.
func (c *socketClient) Room() {}

// Closed notes how the server has ended the socket.
func (c *socketClient) Closed(err *publisher.SocketError) { c.closed = err }

// turn carries messages, and runs one function after the other until over returns true.
func (c *Socket) turn(over func() bool) {
	c.s.t.Helper()
	c.s.turn(func() bool {
		for c.carry() {
			c.s.runReady()
		}
		return over()
	})
}

// settle carries messages and runs what they lead to, without moving time.
func (c *Socket) settle() {
	for busy := true; busy; {
		c.s.runReady()
		busy = c.carry() || c.s.doNext()
	}
}

// carry moves octets between the ends. It reports whether there were any.
func (c *Socket) carry() (moved bool) {
	if c.header == nil {
		return false
	}
	for i, e := range c.ends {
		other := c.ends[1-i]
		e.Tick(c.s.now)
		p := e.Pending()
		if len(p) > 0 && !other.lost {
			other.held = append(other.held, p...)
			e.Sent(len(p))
			moved = true
		}
		if len(other.held) > 0 && (other.woken || moved) && !other.lost {
			other.woken = false
			n, _ := other.Feed(other.held)
			other.held = other.held[n:]
			moved = moved || n > 0
		}
		if e.closed && !e.lost {
			e.lost, moved = true, true
			other.EOF()
			e.Lost(nil)
		}
	}
	return moved
}

// socketEnd is one end and its wire.
type socketEnd struct {
	*websocket.Conn
	held   []byte // input that was not taken
	woken  bool
	closed bool
	lost   bool
}

// Wake makes carry offer the input again.
func (e *socketEnd) Wake() { e.woken = true }

// Close ends the connection after the output.
func (e *socketEnd) Close() { e.closed = true }

// Abort ends the connection.
func (e *socketEnd) Abort(error) { e.closed = true }

// Reserve always has room.
func (e *socketEnd) Reserve(int) bool { return true }
