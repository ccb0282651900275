package publisher

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"zamqp/loop/coro"
)

// Publish publishes v outside of any call, in a transaction of its own, and waits
// for the broker's confirm. It is for goroutines that handlers do not run on: those
// that an [OnStart] function has started, a function given to [Request.Offload], an
// [OnStop] function. Any number of goroutines may call it. Producer, v and options
// are those of [Request.Publish]; v is encoded before Publish returns, on the
// calling goroutine, and is not kept.
//
// The server is the one that runs in this process with the handlers of [Default];
// [Server.Publish] names another. Before it serves, Publish waits; see [OnStart].
//
// nil means that the broker has confirmed the message, or that the connection's spool has it
// on disk. An [ErrUnavailable] has the same reasons as for the publish of a call: returned as
// unroutable, nacked, no confirm within confirm_timeout, publish_max reached, the connection
// lost, the server stopping. If the connection was lost after the message was sent, a second
// attempt may publish it twice; with a [MessageID] receivers can recognise that.
//
// If ctx ends first, the error has its cause and says whether the message was not sent or,
// as an [ErrUnknownOutcome], may have been sent. A message that was sent is not taken back.
func Publish(ctx context.Context, producer string, v any, options ...Option) error {
	return Default.Publish(ctx, producer, v, options...)
}

// Publish is the package's [Publish] for the server that runs with this registry. If there
// are several, it is the one that was started last.
func (g *Registry) Publish(ctx context.Context, producer string, v any, options ...Option) error {
	s := g.running.Load()
	if s == nil {
		return fmt.Errorf("publish %s: %w: %w: no server runs with these handlers", producer, ErrUnavailable, ErrNotServing)
	}
	return s.Publish(ctx, producer, v, options...)
}

// Publish is the package's [Publish] for this server.
func (s *Server) Publish(ctx context.Context, producer string, v any, options ...Option) error {
	if err := s.publishDetached(ctx, producer, v, options); err != nil {
		return fmt.Errorf("publish %s: %w", producer, err)
	}
	return nil
}

// detaching is the server's state for publishes outside of calls.
type detaching struct {
	serving chan struct{} // closed when the loop runs
	thread  uintptr       // the loop's goroutine; set when serving is closed
	refused bool          // the connections are about to be closed; for the loop's thread
	total   uint64        // publishes that the loop has taken; for the loop's thread
	failed  uint64
}

// attach makes the server the one that its registry uses to publish.
func (s *Server) attach() { s.registry.running.Store(s) }

func (s *Server) serve() {
	s.attach()
	s.detached.thread = coro.Identity()
	close(s.detached.serving)
}

func (s *Server) detach() { s.registry.running.CompareAndSwap(s, nil) }

// RefusePublishes refuses publishes outside of calls from now on. It is called before the
// connections to brokers are closed cleanly, which waits for the confirms of publishes
// that are under way. Loop thread only.
func (s *Server) RefusePublishes() { s.detached.refused = true }

// detached is one publish outside of a call.
type detached struct {
	server  *Server
	p       *producing // as declared; its sender is read on the loop's thread
	tx      Tx
	claim   atomic.Uint32 // one of the states below
	outcome chan error    // buffered
	span    PublishSpan   // nil if it is not traced, or not sampled
}

// States of a detached publish: only the loop or the caller gets it.
const (
	detachedPosted  = iota // waits for the loop
	detachedTaken          // taken by the loop
	detachedGivenUp        // its caller has given up before the loop took it: it is not sent
	detachedOver           // its outcome is known
	detachedLeft           // its caller has given up after that: the outcome goes to the log
)

func (s *Server) publishDetached(ctx context.Context, producer string, v any, options []Option) error {
	if err := s.detachable(ctx); err != nil {
		return err
	}
	d, err := s.newDetached(ctx, producer, v, options)
	if err != nil {
		return err
	}
	if !s.runtime.Post(d.take) {
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrShutdown)
	}
	if turner, ok := s.runtime.(Turner); ok && coro.Identity() == s.detached.thread {
		turner.Turn(func() bool { return len(d.outcome) > 0 || ctx.Err() != nil })
	}
	select {
	case err := <-d.outcome:
		return err
	case <-ctx.Done():
		return d.leave(context.Cause(ctx))
	case <-s.ended:
		return d.leave(fmt.Errorf("%w: %w", ErrUnavailable, ErrShutdown))
	}
}

// detachable waits until the server serves, and reports why the calling goroutine
// cannot publish.
func (s *Server) detachable(ctx context.Context) error {
	select {
	case <-s.detached.serving:
	default:
		if s.hooks.starter.Load() == coro.Identity() {
			return fmt.Errorf("%w: %w: an OnStart function runs before the brokers are connected: publish on a goroutine that it starts, which waits until they are", ErrUnavailable, ErrNotServing)
		}
	}
	select {
	case <-s.detached.serving:
	case <-s.ended:
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrShutdown)
	case <-ctx.Done():
		return fmt.Errorf("%w: nothing was sent", context.Cause(ctx))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: nothing was sent", context.Cause(ctx))
	}
	_, turns := s.runtime.(Turner)
	if s.tasks.Inside() || !turns && coro.Identity() == s.detached.thread {
		s.foreign.log(s, ErrOnLoop)
		return ErrOnLoop
	}
	return nil
}

// newDetached encodes a publish, properties and body, into memory of its own.
func (s *Server) newDetached(ctx context.Context, producer string, v any, options []Option) (*detached, error) {
	p := s.producers[producer]
	if p == nil {
		return nil, noProducer(producer)
	}
	d := &detached{server: s, p: p, outcome: make(chan error, 1)}
	own := p.unbound()
	draft := own.draft(time.Now())
	if err := draft.apply(s.main, options); err != nil {
		return nil, err
	}
	if s.tracer != nil {
		span, headers := s.tracer.Publish(ctx)
		draft.trace, d.span = headers, span
	}
	var r *Request // outside of calls there is none
	if err := d.tx.add(r, own, &draft, r.claim(v, &draft)); err != nil {
		return nil, err
	}
	pub := &d.tx.pubs[0]
	pub.RawProperties, pub.Body, pub.Tx = d.tx.arena[pub.propsAt:pub.bodyAt], d.tx.arena[pub.bodyAt:pub.endAt], &d.tx
	if pub.large != nil {
		pub.Body = pub.large
	}
	return d, nil
}

// unbound returns a copy of a producer for goroutines other than the loop's, which sets the
// sender.
func (p *producing) unbound() *producing {
	return &producing{Producer: p.Producer, name: p.name, codec: p.codec, contentType: p.contentType, mode: p.mode,
		mandatory: p.mandatory, expiration: p.expiration}
}

// take gives the publish to its sender. Loop thread.
func (d *detached) take() {
	if !d.claim.CompareAndSwap(detachedPosted, detachedTaken) {
		return
	}
	s := d.server
	s.detached.total++
	err := ErrShutdown
	if !s.detached.refused {
		if _, err = s.producer(d.p.name); err == nil {
			if d.span != nil {
				d.span.Send(&d.tx.pubs[0].Publication)
			}
			err = d.p.sender.Send(&d.tx.pubs[0].Publication, d)
		}
	}
	if err != nil {
		d.Confirmed(err)
	}
}

// Confirmed is called with the broker's answer. Loop thread.
func (d *detached) Confirmed(err error) {
	if d.span != nil {
		d.span.End(err)
	}
	if err != nil {
		d.server.detached.failed++
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if d.claim.CompareAndSwap(detachedTaken, detachedOver) {
		d.outcome <- err
	} else if err != nil {
		d.server.log.Warn().Err(err).Str("producer", d.p.name).Msg("a publish failed whose caller did not wait for its outcome")
	}
}

// leave ends the wait of the caller, and returns what is known of the outcome.
func (d *detached) leave(cause error) error {
	if d.claim.CompareAndSwap(detachedPosted, detachedGivenUp) {
		return fmt.Errorf("%w: nothing was sent", cause)
	}
	if d.claim.CompareAndSwap(detachedTaken, detachedLeft) {
		return fmt.Errorf("%w: %w: it was handed over to the connection", cause, ErrUnknownOutcome)
	}
	return <-d.outcome // the outcome, which has come in the meantime
}
