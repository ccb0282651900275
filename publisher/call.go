package publisher

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"

	"zamqp/amqpproto"
	"zamqp/loop/coro"
)

// Run is the call's task: the handler, the commit, the outcome. A conflict runs
// them again in place, since only the losers of a race see one.
func (c *Call) Run(t *coro.Task) {
	r := c.Request()
	r.task = t
	r.owner.Store(coro.Self())
	s := r.server
	s.runtime.Enter(r.label)
	err := r.attempt(r.handle)
	for again := 0; again < s.options.ConflictRetries && errors.Is(err, ErrConflict) && !r.response.begun; again++ {
		s.stats.Conflicts++
		err = r.attempt(r.handle)
	}
	if err != nil {
		err = r.failed(err)
	}
	if r.origin == OriginHTTP && err == nil && r.response.stream != nil {
		err = r.runStream()
	}
	r.settle(err)
	s.runtime.Enter(nil)
	s.finish(r)
}

// attempt runs a handler in a fresh transaction, and commits or aborts it.
func (r *Request) attempt(h func() error) error {
	r.tx.reset()
	r.response.reset()
	err := guard(h)
	if err == nil {
		err = guard(r.end)
	}
	if err != nil {
		err = sound(err)
		r.abort()
	}
	return err
}

// sound returns err, or the panic of its own methods: they are a handler's code,
// too (a typed nil is the usual mistake), and later nobody would catch it.
func sound(err error) error {
	panicked := guard(func() error {
		_, _, _ = err.Error(), IsPermanent(err), errors.Is(err, ErrConflict)
		_, _ = statusOf(err)
		return nil
	})
	if panicked != nil {
		return panicked
	}
	return err
}

// handle calls the handler of the route or of the consumer, or every
// subscriber of the consumer's marker in turn.
func (r *Request) handle() error {
	if r.origin == OriginHTTP {
		return r.route.Handler(r)
	}
	if r.consumer == nil || len(r.consumer.handlers) == 0 {
		return Permanent(fmt.Errorf("consumer %q has no handler", r.message.Consumer))
	}
	for _, h := range r.consumer.handlers {
		if err := h(r); err != nil {
			return err
		}
	}
	return nil
}

// end adds the reply to the publishes and commits. The reply goes out last, so
// that who waits for it finds the rest done.
func (r *Request) end() error {
	if err := r.undo(); err != nil {
		return err
	}
	return r.endWith()
}

// endWith is end for whatever the answer says.
func (r *Request) endWith() error {
	if err := r.addReply(); err != nil {
		return err
	}
	return r.commit()
}

// guard calls f and turns its panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}

// failed gives the failure of a message to the error handler of its exchange.
func (r *Request) failed(err error) error {
	if r.origin != OriginMessage || errors.Is(err, ErrShutdown) {
		return err
	}
	h := r.server.errorHandlers[string(r.message.Exchange)]
	if h == nil {
		return err
	}
	return r.attempt(func() error { return h(r, err) })
}

// settle makes the outcome of the call, and for a failure the answer to it.
func (r *Request) settle(err error) {
	r.outcome = Outcome{Err: err, Settlement: SettleAck}
	if err == nil {
		if !r.response.set {
			_ = r.answer(http.StatusNoContent, "", nil)
		}
		return
	}
	if r.origin == OriginMessage {
		r.decide(err)
	}
	r.server.report(r, err)
	if isBrokenStream(err) {
		return // the door cuts the connection
	}
	if r.origin == OriginMessage {
		r.replyFailure(err)
		return
	}
	status, cause := statusOf(err)
	r.keepFields(err)
	if e := (*encodingError)(nil); errors.As(err, &e) {
		r.setHeader("Accept-Encoding", acceptEncoding)
	}
	_ = r.text(status, cause+"\n")
	r.reportFields()
}

// decide chooses between another attempt and the dead-letter queue.
func (r *Request) decide(err error) {
	var c Consumer
	if r.consumer != nil {
		c = r.consumer.Consumer
	}
	h := &r.message.History
	h.Failure = failureOf(err)
	next := h.Next(&c)
	if next.Step == StepRetry {
		r.outcome.Settlement, r.outcome.Delay = SettleRetry, next.Delay
		return
	}
	r.outcome.Settlement, r.outcome.Reason = SettleDeadLetter, next.Reason
}

// replyFailure tells whoever waits for a reply, when no attempt follows.
func (r *Request) replyFailure(err error) {
	if r.outcome.Settlement != SettleDeadLetter || len(r.props.ReplyTo) == 0 {
		return
	}
	status, cause := statusOf(err)
	r.tx.reset()
	r.keepFields(err)
	_ = r.text(status, cause)
	r.reportFields()
	if err := guard(r.endWith); err != nil {
		r.server.log.Warn().Err(err).Str("reply_to", string(r.props.ReplyTo)).Msg("the error reply was not sent")
	}
}

// failureOf says what an error of a handler means for its message.
func failureOf(err error) Failure {
	switch {
	case IsPermanent(err):
		return FailurePermanent
	case errors.Is(err, ErrShutdown):
		return FailureCutOff
	}
	return FailurePassing
}

// StatusHeader is the key of the headers table that tells the status of a
// reply that is no success.
const StatusHeader = "x-status"

// addReply publishes the response to the message's reply_to, if it has one,
// with its correlation id. It is not mandatory: who asked may have gone, and
// that is no failure of the call.
func (r *Request) addReply() error {
	if r.origin != OriginMessage || len(r.props.ReplyTo) == 0 || r.message.Reply == nil {
		return nil
	}
	p := &r.response
	if !p.set {
		if err := r.answer(http.StatusNoContent, "", nil); err != nil {
			return err
		}
	}
	d := draft{key: text(r.props.ReplyTo), headers: p.headers, typed: true}
	if p.Status >= http.StatusBadRequest {
		d.addHeader(StatusHeader, int32(p.Status))
	}
	if p.raw != nil && d.headers != nil { // the message's own, below those that were set
		headers, err := p.raw.Table()
		if err != nil {
			return fmt.Errorf("reply: %w", err)
		}
		maps.Copy(headers, d.headers)
		d.headers = headers
	}
	if p.ContentType != "" {
		d.set(&d.props.ContentType, amqpproto.FlagContentType, p.ContentType)
	}
	if len(r.props.CorrelationID) > 0 {
		d.props.CorrelationID = r.props.CorrelationID
		d.props.Flags |= amqpproto.FlagCorrelationID
	}
	if p.raw != nil && d.headers == nil {
		d.props.Headers = p.raw
		d.props.Flags |= amqpproto.FlagHeaders
	}
	d.props.DeliveryMode = 1
	if r.props.DeliveryMode == 2 {
		d.props.DeliveryMode = 2
	}
	d.props.Flags |= amqpproto.FlagDeliveryMode
	reply := producing{name: "reply", sender: r.message.Reply}
	body, large := p.Body, len(p.Body) > amqpproto.LargeBody
	if large { // it is sent from where it is: no second answer is written over it
		p.Body = nil
	}
	if err := r.tx.addRaw(r, &reply, &d, body, large); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return nil
}
