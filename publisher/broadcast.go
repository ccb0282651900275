package publisher

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"zamqp/loop/coro"
)

// A broadcast is an event on its way to a topic.
type broadcast struct {
	topic *topic
	event *topicEvent
	added bool
	told  func() // called when it was added
}

// Broadcast sends an event to all clients of a topic when the call's transaction has
// committed: to those of this process or, if the topic has an Exchange, to those of all
// processes that have the topic. The data is encoded now, so it may change afterwards. You
// may ignore the error: the commit fails with it too.
func (r *Request) Broadcast(topic string, e Event) error {
	b, err := r.server.broadcast(topic, e)
	if r.toCall != nil {
		return r.toCall.do(func(r *Request) error { return r.broadcast(topic, b, err) })
	}
	return r.broadcast(topic, b, err)
}

func (r *Request) broadcast(topic string, b *broadcast, err error) error {
	if over := r.open(); over != nil {
		return fmt.Errorf("broadcast %s: %w", topic, over)
	}
	switch {
	case err != nil:
	case b.topic.Exchange != "":
		err = r.publish(topicPrefix+topic, b.event.data, b.options(len(r.props.MessageID) > 0))
	default:
		r.tx.events = append(r.tx.events, b)
	}
	if err != nil {
		err = fmt.Errorf("broadcast %s: %w", topic, err)
		if r.tx.err == nil {
			r.tx.err = err
		}
	}
	return err
}

// Broadcast sends an event to all clients of a topic outside of any call, as [Publish]
// publishes. nil means that the topic has the event or, if it has an Exchange, that the
// broker has confirmed it.
func Broadcast(ctx context.Context, topic string, e Event) error {
	return Default.Broadcast(ctx, topic, e)
}

// Broadcast is the package's [Broadcast] for the server that runs with this registry.
func (g *Registry) Broadcast(ctx context.Context, topic string, e Event) error {
	s := g.running.Load()
	if s == nil {
		return fmt.Errorf("broadcast %s: %w: %w: no server runs with these handlers", topic, ErrUnavailable, ErrNotServing)
	}
	return s.Broadcast(ctx, topic, e)
}

// Broadcast is the package's [Broadcast] for this server.
func (s *Server) Broadcast(ctx context.Context, topic string, e Event) error {
	b, err := s.broadcast(topic, e)
	switch {
	case err != nil:
	case b.topic.Exchange != "":
		err = s.publishDetached(ctx, topicPrefix+topic, b.event.data, b.options(false))
	default:
		err = s.broadcastDetached(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("broadcast %s: %w", topic, err)
	}
	return nil
}

// broadcastDetached adds an event to a topic of this process, and waits until there is room.
func (s *Server) broadcastDetached(ctx context.Context, b *broadcast) error {
	if err := s.detachable(ctx); err != nil {
		return err
	}
	added := make(chan struct{})
	b.told = func() { close(added) }
	if !s.runtime.Post(func() {
		if b.send() {
			b.told()
		}
	}) {
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrShutdown)
	}
	if turner, ok := s.runtime.(Turner); ok && coro.Identity() == s.detached.thread {
		turner.Turn(func() bool { return b.added || ctx.Err() != nil })
	}
	select {
	case <-added:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", context.Cause(ctx), ErrUnknownOutcome)
	case <-s.ended:
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrShutdown)
	}
}

// broadcast checks and encodes an event. Any goroutine may call it.
func (s *Server) broadcast(topic string, e Event) (*broadcast, error) {
	t, err := s.topic(topic)
	if err != nil {
		return nil, err
	}
	made, err := e.encode()
	if err != nil {
		return nil, err
	}
	if made.octets > int(t.Octets)/eventShare {
		return nil, fmt.Errorf("an event of %d octets: topic.%s.octets is %s, and one event may use a quarter of it", len(made.data), topic, t.Octets)
	}
	return &broadcast{topic: t, event: made}, nil
}

// options returns the options of the publish that carries the event to the exchange. derived says
// that the call gives the publish an id, which is the same when the call runs again.
func (b *broadcast) options(derived bool) []Option {
	options := []Option{Persistent(false), ContentType(b.event.contentType)}
	if b.event.Name != "" {
		options = append(options, Type(b.event.Name))
	}
	switch {
	case b.event.ID != "":
		options = append(options, MessageID(b.event.ID))
	case !derived:
		options = append(options, MessageID(b.topic.fanout.newID()))
	}
	return options
}

// newID returns an id that no other event of any process has. Any goroutine may call it.
func (f *fanout) newID() string {
	return f.prefix + strconv.FormatUint(f.ids.Add(1), 36)
}

// feed is the handler of a topic's consumer: it makes an event of each message. The id is the
// message id, the name is the type, and the data is the body.
func feed(name string) Handler {
	return func(r *Request) error {
		data, err := r.Content()
		if err != nil {
			return err
		}
		e := Event{ID: string(r.MessageID()), Name: string(r.props.Type), Data: data}
		b, err := r.server.broadcast(name, e)
		if err != nil {
			return Permanent(err)
		}
		if b.topic.log.has(e.ID) {
			b.topic.stats.repeated++
			return nil
		}
		r.tx.events = append(r.tx.events, b)
		return nil
	}
}

// broadcastAll adds the events of a call that has committed to their topics. It waits while a
// topic has no room, which never takes long: see topic.full.
func (r *Request) broadcastAll() {
	for _, b := range r.tx.events {
		if b.send() {
			continue
		}
		for b.told = r.running.wake; !b.added; {
			r.park()
		}
	}
}

// send adds the event to its topic. It returns false if the event has to wait for its turn.
func (b *broadcast) send() (added bool) {
	t := b.topic
	if len(t.line) > 0 || t.full(b.event) {
		t.line = append(t.line, b)
		t.activate()
		return false
	}
	b.added = true
	t.add(b.event)
	return true
}

// admit adds events that have waited, in their order, while there is room.
func (t *topic) admit() {
	for len(t.line) > 0 && !t.full(t.line[0].event) {
		b := t.line[0]
		t.line[0] = nil
		if t.line = t.line[1:]; len(t.line) == 0 {
			t.line = nil
		}
		b.added = true
		t.add(b.event)
		b.told()
	}
}

// full reports whether another event would push out one that a subscriber has not got yet, and
// could take now. That subscriber gets it within some turns, so the new event waits: a burst of
// events does not make clients slow. Nothing waits for subscribers that can take no more now.
func (t *topic) full(e *topicEvent) bool {
	sub := t.behind.first()
	if sub == nil {
		return false
	}
	l := &t.log
	octets := l.octets + e.octets
	for seq := l.first; seq < l.end() && (int(l.end()-seq) >= l.most || octets > l.limit); seq++ {
		if sub.seq <= seq {
			return true
		}
		octets -= l.get(seq).octets
	}
	return false
}

var errEventText = errors.New("event: the data is not text in UTF-8, which text/event-stream needs: encode it, for example as base64")
