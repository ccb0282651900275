package publisher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Events is a stream of server-sent events, which browsers read with EventSource. Only the
// function given to [Request.Events] may call its methods.
type Events struct {
	r       *Request
	w       *Stream
	door    StreamDoor
	buf     []byte
	sub     subscription  // of Follow
	cause   error         // of the end of sub
	every   time.Duration // between two heartbeats; 0 = none
	written time.Time     // when the last octets were sent
	beat    func()        // the timer of the heartbeat, made once
	unbeat  func() bool   // stops it
	busy    bool          // the handler is writing
}

// EventsHeartbeat is how often a stream sends a comment while there are no events. Without it, a
// proxy between the server and the client could close the connection as idle.
const EventsHeartbeat = 15 * time.Second

// eventsRetry is about how long a client waits before it connects again. Each client gets a
// random time between half of it and one and a half, so that the clients of a server that stops
// do not all connect to the others at once.
const eventsRetry = 3 * time.Second

// Events answers with a stream of server-sent events. fn runs after the commit, as in
// [Request.Stream]. The stream ends when fn returns; the client then connects again, and says
// what its last event was.
//
//	publisher.Handle("GET /ticks", func(r *publisher.Request) error {
//		return r.Events(func(e *publisher.Events) error {
//			for n := 0; ; n++ {
//				if err := e.Send(publisher.Event{Data: n}); err != nil {
//					return err
//				}
//				if err := r.Sleep(time.Second); err != nil {
//					return err
//				}
//			}
//		})
//	})
//
// A slow client parks only its own call. fn may return the error of any method: when the
// client has gone, when the server drains ([ErrDraining]) and when [StreamTimeout] is over,
// the stream ends cleanly. Any other error cuts the connection.
func (r *Request) Events(fn func(e *Events) error) error {
	if r.toCall != nil {
		return errors.New("events: in a mounted net/http handler write to its http.ResponseWriter, and flush that")
	}
	if err := r.own(); err != nil {
		return err
	}
	if !r.source.hasClient() {
		return Permanent(errors.New("events: a message's reply is sent whole: use Bytes"))
	}
	r.setDefault("Cache-Control", "no-cache")
	r.setDefault("X-Accel-Buffering", "no") // without it nginx would hold events back
	return r.Stream(http.StatusOK, "text/event-stream", LengthUnknown, func(w *Stream) error {
		if string(r.method) == http.MethodHead {
			return nil
		}
		e := &Events{r: r, w: w, door: r.door.(StreamDoor), every: EventsHeartbeat}
		return e.run(fn)
	})
}

// Follow returns a handler that gives each client the events of a topic.
func Follow(topic string) Handler {
	return func(r *Request) error {
		if _, err := r.server.topic(topic); err != nil {
			return err
		}
		return r.Events(func(e *Events) error { return e.Follow(topic) })
	}
}

// run calls fn. The first octets leave at once, so that the client knows that it is
// connected.
func (e *Events) run(fn func(e *Events) error) error {
	s := e.r.server
	s.eventStreams++
	defer e.end()
	retry := eventsRetry/2 + rand.N(eventsRetry)
	if err := e.write(appendEvent(e.buf[:0], &Event{Retry: retry}, nil, false)); err != nil {
		return err
	}
	// The first one comes earlier, after a random time. So the heartbeats of clients that came at
	// the same time are spread.
	e.beat = e.onBeat
	e.arm(e.every/2 + rand.N(e.every/2))
	err := fn(e)
	if err != nil && err == e.r.cancelled && (err == ErrDraining || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return err
}

func (e *Events) end() {
	e.r.server.eventStreams--
	e.sub.end()
	e.Heartbeat(0)
}

// LastEventID returns the id of the last event that the client has got. The client says it when
// it connects again; "" means that it connects for the first time.
func (e *Events) LastEventID() string {
	return strings.ToValidUTF8(string(e.r.HeaderBytes("Last-Event-ID")), "\ufffd")
}

// Heartbeat sets how often a comment is sent when there are no events, in place of
// [EventsHeartbeat]; 0 sends none.
func (e *Events) Heartbeat(every time.Duration) {
	if e.unbeat != nil {
		e.unbeat()
		e.unbeat = nil
	}
	if e.every = every; every > 0 {
		e.arm(every)
	}
}

func (e *Events) arm(d time.Duration) {
	rt := e.r.server.runtime
	if b, ok := rt.(Backgrounder); ok {
		e.unbeat = b.AfterInBackground(d, e.beat)
		return
	}
	e.unbeat = rt.After(d, e.beat)
}

// onBeat sends a comment, if nothing else was sent for a while. It does not cut an event that is
// sent in pieces, and sends nothing to a client that does not read.
func (e *Events) onBeat() {
	if left := e.every - e.r.server.runtime.Now().Sub(e.written); left > 0 {
		e.arm(left)
		return
	}
	if !e.busy && !e.sub.blocked && !e.sub.partial() {
		e.note()
		_, _ = e.door.Write(e.r.forDoor(), heartbeat) // if it fails, the client has gone, which ends the call
		e.r.server.heartbeats++
	}
	e.arm(e.every)
}

var heartbeat = []byte(":\n\n")

func (e *Events) note() { e.written = e.r.server.runtime.Now() }

// Send sends one event, and waits while the client is slower. It refuses data that is not text in
// UTF-8.
func (e *Events) Send(event Event) error {
	if err := event.check(); err != nil {
		return err
	}
	data, _, err := event.encodeData()
	if err != nil {
		return err
	}
	if !utf8.Valid(data) {
		return errEventText
	}
	return e.write(appendEvent(e.buf[:0], &event, data, event.Data != nil))
}

// Comment sends a comment. Clients ignore it; people who look at the stream see it.
func (e *Events) Comment(text string) error {
	b := e.buf[:0]
	for line := range strings.Lines(strings.ToValidUTF8(strings.ReplaceAll(text, "\r", "\n"), "\ufffd")) {
		b = append(append(b, ": "...), strings.TrimSuffix(line, "\n")...)
		b = append(b, '\n')
	}
	return e.write(append(b, '\n'))
}

func (e *Events) write(p []byte) error {
	if err := e.r.own(); err != nil { // before the buffer is used
		return err
	}
	e.busy, e.buf = true, keepSmall(p)
	_, err := e.w.Write(p)
	e.busy = false
	e.note()
	return err
}

// Missed reports whether the client has come back, and the topic does not keep its last event any
// more. The client may then have missed events, and need the whole state: send that before
// [Events.Follow].
func (e *Events) Missed(topic string) bool {
	t, err := e.r.server.topic(topic)
	last := e.LastEventID()
	return err == nil && last != "" && !t.log.has(last)
}

// Follow sends the client the events of a topic from now on, and returns when the stream ends. A
// client that comes back first gets the events that it has missed, as far as the topic keeps
// them; see [Events.Missed]. The handler cannot send other events meanwhile.
func (e *Events) Follow(topic string) error { return e.FollowOnly(topic, nil) }

// FollowOnly is [Events.Follow] for the events for which only returns true; if only is nil, for
// all. The loop's thread calls it for each event and each client, so it must be quick. It must
// not change the event, whose Data is a []byte.
func (e *Events) FollowOnly(topic string, only func(event *Event) bool) error {
	r := e.r
	if err := r.own(); err != nil {
		return err
	}
	if r.isChild() {
		return errors.New("follow: called in " + childName + ": return to the function of the stream")
	}
	t, err := r.server.topic(topic)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	t.subscribe(&e.sub, e, e.LastEventID(), only)
	for !e.sub.over && !r.interrupted() {
		r.park()
		e.sub.room()
	}
	if e.sub.over {
		return e.cause
	}
	e.sub.end()
	r.told = r.cancelled == ErrDraining
	return r.cause()
}

func (e *Events) format() eventFormat { return formatEventStream }

// deliver writes for the parked call.
func (e *Events) deliver(p []byte) (n int, more bool, err error) {
	n = min(len(p), StreamPiece)
	more, err = e.door.Write(e.r.forDoor(), p[:n])
	e.note()
	return n, more, err
}

func (e *Events) dropped(cause error) {
	e.cause = cause
	e.r.wake()
}

// setDefault sets a field of the answer that the handler has not set.
func (r *Request) setDefault(name, value string) {
	if _, found := r.response.line(name); !found {
		r.setHeader(name, value)
	}
}
