package publisher

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"zamqp/publisher/websocket"
)

// A following is a Socket that follows a topic.
type following struct {
	ws  *Socket
	sub subscription
}

// Follow sends the client the events of a topic from now on, until the socket ends or
// [Socket.Unfollow] is called. It does not wait: the handler goes on, and may read and
// write. Each event is a message that holds the event's Data: a text if the data is a text
// or JSON, otherwise a binary message. A client that is too slow for the topic is closed
// with 1008.
func (ws *Socket) Follow(topic string) error { return ws.FollowOnly(topic, nil) }

// FollowOnly is [Socket.Follow] for the events for which only returns true; if only is nil, for
// all. The loop's thread calls it for each event and each client, so it must be quick. It must
// not change the event, whose Data is a []byte.
func (ws *Socket) FollowOnly(topic string, only func(event *Event) bool) error {
	if err := ws.Accept(); err != nil {
		return err
	}
	t, err := ws.server.topic(topic)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	if ws.err != nil {
		return ws.err
	}
	if ws.follows(t) != nil {
		return fmt.Errorf("follow: the socket follows the topic %q already: call Unfollow first", topic)
	}
	f := &following{ws: ws}
	ws.following = append(ws.following, f)
	t.subscribe(&f.sub, f, "", only)
	return nil
}

// Unfollow ends [Socket.Follow]. If a part of an event has been sent, it first waits until the
// rest is sent.
func (ws *Socket) Unfollow(topic string) error {
	if err := ws.Accept(); err != nil {
		return err
	}
	f := ws.follows(ws.server.topics[topic])
	if f == nil {
		return nil
	}
	for f.sub.partial() {
		if err := ws.waitToWrite(); err != nil {
			return err
		}
	}
	f.end()
	return nil
}

func (ws *Socket) follows(t *topic) *following {
	for _, f := range ws.following {
		if f.sub.topic == t {
			return f
		}
	}
	return nil
}

func (f *following) end() {
	f.sub.end()
	f.ws.following = slices.DeleteFunc(f.ws.following, func(other *following) bool { return other == f })
}

// unfollowAll ends what the socket follows.
func (ws *Socket) unfollowAll() {
	for _, f := range ws.following {
		f.sub.end()
	}
	ws.following = nil
}

// midEvent reports whether a part of an event was sent, and not yet the rest. No other
// message may begin before that.
func (ws *Socket) midEvent() bool {
	return slices.ContainsFunc(ws.following, func(f *following) bool { return f.sub.partial() })
}

// offer tells the topics for which there was no room that there is room again.
func (ws *Socket) offer() {
	for _, f := range ws.following {
		f.sub.room()
	}
}

func (f *following) format() eventFormat { return formatMessage }

// deliver sends one frame of an event. It takes nothing while another message is being sent.
func (f *following) deliver(p []byte) (n int, more bool, err error) {
	ws := f.ws
	switch {
	case ws.err != nil:
		return 0, false, ws.err
	case ws.writing, f.sub.at == 0 && ws.midEvent():
		ws.refused = true
		return 0, false, nil
	case ws.conn.Full():
		return 0, false, nil
	}
	n = ws.conn.WriteEncoded(p)
	if n == 0 {
		return 0, false, errSocketClosed
	}
	if n == len(p) && ws.refused {
		ws.refused = false
		ws.server.runtime.Post(func() { // later, because deliver may not move a subscription
			ws.wakeWriters()
			ws.offer()
		})
	}
	return n, !ws.conn.Full(), nil
}

// dropped closes the socket of a client that was too slow, or whose filter has panicked. The
// method in which the handler waits returns that panic as an error, so its call fails.
func (f *following) dropped(cause error) {
	if cause == ErrSlow {
		f.ws.shut(websocket.ClosePolicyViolation, ErrSlow.Error())
		return
	}
	code, reason := closeOf(cause)
	f.ws.end(cause, code, reason)
}

// encodeMessage appends an event as the message of a WebSocket.
func encodeMessage(dst []byte, e *topicEvent) []byte {
	text := !strings.HasPrefix(e.contentType, "application/octet-stream") && utf8.Valid(e.data)
	return websocket.AppendMessage(dst, text, e.data)
}
