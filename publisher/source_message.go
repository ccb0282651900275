package publisher

import (
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
)

// messageSource is the source of messages, the queues. message.go reads a message; this file
// runs its call, answers it and settles it.
type messageSource struct{}

func (messageSource) origin() Origin         { return OriginMessage }
func (messageSource) name(r *Request) string { return "message " + r.Path() }

func (messageSource) identify(r *Request, c zerolog.Context) zerolog.Context {
	if r.server.ids {
		c = c.Str("request_id", string(r.requestID))
	}
	return c.Str("message_id", foreign(r.props.MessageID)).Int("attempt", r.Attempt())
}

func (messageSource) begin(r *Request) bool {
	r.server.stats.Messages++
	if r.handler, r.times = noHandler, nil; r.consumer != nil {
		r.consumer.calls++
		r.times = r.server.timesOf(&r.consumer.times)
		r.label = &r.consumer.label
		if r.consumer.handler != nil {
			r.handler = r.consumer.handler
		}
	}
	return true
}

func noHandler(r *Request) error {
	return Permanent(fmt.Errorf("consumer %q has no handler", r.message.Consumer))
}

func (messageSource) hasClient() bool { return false }

// setField puts the value into the headers table of the reply.
func (messageSource) setField(r *Request, name, value string) {
	p := &r.response
	if p.headers == nil {
		p.headers = Table{}
	}
	p.headers[name] = value
}

func (messageSource) setTable(r *Request, t Table) { r.response.headers = maps.Clone(t) }

func (messageSource) answered(r *Request) error { return r.serverError() }

// StatusHeader is the key of the headers table with the status of an error reply.
const StatusHeader = "x-status"

// reply publishes the response to the message's reply_to, if it has one, with its correlation id.
// The publish is not mandatory: the caller may have gone, and that is not a failure of the call.
func (messageSource) reply(r *Request) error {
	if len(r.props.ReplyTo) == 0 || r.message.Reply == nil {
		return nil
	}
	p := &r.response
	if !p.set {
		if err := r.answer(http.StatusNoContent, "", nil); err != nil {
			return err
		}
	}
	d := draft{key: text(r.props.ReplyTo), headers: p.headers, typed: true}
	if r.server.ids {
		d.requestID = r.requestID
	}
	span := r.traced(&d, SendReply)
	if p.Status >= http.StatusBadRequest {
		d.addHeader(StatusHeader, int32(p.Status))
	}
	if p.raw != nil && d.headers != nil { // the message's own headers, overridden by those that were set
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
	if large { // the body is sent from its own memory: no second answer is written over it
		p.Body = nil
	}
	if err := r.tx.addRaw(r, &reply, &d, body, large); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	if span != nil {
		r.tx.pubs[len(r.tx.pubs)-1].span = span
	}
	return nil
}

// failed gives the failure of a message to the error handler of its exchange.
func (messageSource) failed(r *Request, err error) error {
	h := r.serving().errorHandlers[string(r.message.Exchange)]
	if h == nil || err == errHandled || errors.Is(err, ErrShutdown) {
		return err
	}
	return r.attemptAgain(func() error {
		if err := h(r, err); err != nil || r.consumer == nil || r.consumer.inbox == nil {
			return err
		}
		return r.consumer.inbox.keep(r)
	})
}

// settle chooses between another attempt and the dead-letter queue. If no attempt follows, it
// sends the failure to the caller that waits for a reply.
func (m messageSource) settle(r *Request, err error) {
	if err == errHandled {
		r.outcome = Outcome{Settlement: SettleAck, Duplicate: true}
		return
	}
	m.decide(r, err)
	r.consumer.fail()
	e := r.server.failure(r, err, zerolog.WarnLevel).Int("attempt", r.Attempt()).Str("message_id", string(r.props.MessageID))
	switch o := &r.outcome; {
	case o.Reason != "":
		e = e.Str("given_up", o.Reason)
	case o.Delay > 0:
		e = e.Stringer("retry_in", o.Delay)
	}
	e.Msg(callFailed)
	m.replyFailure(r, err)
}

func (messageSource) decide(r *Request, err error) {
	var c Consumer
	if r.consumer != nil {
		c = r.consumer.Consumer
	}
	h := &r.message.History
	h.Failure, h.Asked = failureOf(err), askedDelay(err, r.Now())
	next := h.Next(&c)
	if next.Step == StepRetry {
		r.outcome.Settlement, r.outcome.Delay = SettleRetry, next.Delay
		return
	}
	r.outcome.Settlement, r.outcome.Reason = SettleDeadLetter, next.Reason
}

// replyFailure sends the error reply. No attempt follows.
func (messageSource) replyFailure(r *Request, err error) {
	if r.outcome.Settlement != SettleDeadLetter || len(r.props.ReplyTo) == 0 {
		return
	}
	status, cause := statusOf(err)
	r.tx.reset()
	if s := (*StatusError)(nil); errors.As(err, &s) && s.answer != nil {
		r.response.reset()
		_ = r.answer(status, s.answer.contentType, s.answer.body)
		r.response.headers = s.answer.headers
	} else {
		r.keepFields(err)
		_ = r.answerError(err, status, cause)
		r.reportFields()
	}
	if err := guard(r.endWith); err != nil {
		r.server.log.Warn().Err(err).Str("reply_to", string(r.props.ReplyTo)).Msg("the error reply was not sent")
	}
}

// failureOf returns what a handler's error means for its message.
func failureOf(err error) Failure {
	switch {
	case IsPermanent(err):
		return FailurePermanent
	case errors.Is(err, ErrShutdown):
		return FailureCutOff
	}
	return FailurePassing
}
