package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto"
)

// An Answer is the reply to a [Request.Call]: a copy, which belongs to the caller.
type Answer struct {
	Status      int // from the header x-status of a zamqp server that failed; 200 without
	ContentType string
	Encoding    string // content encoding of Body
	Headers     Table
	Body        []byte

	unpackMax int64
	request   *Request // the request of the calling handler; another call may use it by now
}

// Decode fills v from the body by the codec of its content type, as [Request.Decode] does. An
// error here is not the fault of our own client: an HTTP client gets 500, and a message is
// tried again.
func (a *Answer) Decode(v any) error {
	if err := a.decode(v); err != nil {
		return fmt.Errorf("answer: %v", err)
	}
	return nil
}

func (a *Answer) decode(v any) error {
	return a.request.decode(a.ContentType, a.Encoding, a.Headers, a.Body, a.unpackMax, v)
}

// decode fills v from a body that is not the request's own. It decodes a large one on another
// goroutine. r may be nil.
func (r *Request) decode(contentType, encoding string, headers Table, body []byte, limit int64, v any) error {
	if !r.canWait() {
		return decode(contentType, encoding, headers, body, limit, v)
	}
	e, err := readEncoding(encoding, tableText(headers, compressionHeader))
	if err != nil {
		return err
	}
	if len(e.packings) > 0 {
		if body, err = r.unpack(&e, body, limit); err != nil {
			return err
		}
	}
	if len(body) > amqpproto.LargeBody {
		return r.decodeApart([]byte(contentType), e, body, limit, v)
	}
	return decodeBody([]byte(contentType), &e, body, limit, v)
}

// CallTimeout is how long a [Request.Call] waits for its answer, unless it has a
// [Timeout].
const CallTimeout = 30 * time.Second

// Timeout sets how long a [Request.Call] waits for its answer.
func Timeout(d time.Duration) Option { return Option{kind: optTimeout, num: uint64(max(0, d))} }

// A Requester is a [Sender] that can wait for answers. Handlers use it by [Request.Call].
type Requester interface {
	// Request publishes a request and keeps nothing of it. It calls done once, later, on the
	// loop's thread, with the reply or the error. forget ends the wait; done is then not
	// called. If Request returns an error, nothing was sent.
	Request(p *Publication, timeout time.Duration, done func(*Answer, error)) (forget func(), err error)
}

// Call publishes v by the producer of that name and waits for the answer, without holding the
// loop. Any number of calls, of this handler and of others, can wait at once on the same
// channels. Options are those of [Request.Publish], and [Timeout].
//
// The request is sent at once, outside of the transaction. It is not taken back if the call
// fails later, and it is sent again if the call is run again.
//
// An answer with a status of 400 or more is returned together with an error that
// is a [StatusError] of that status. Any other error is an [ErrUnavailable], for example because
// no queue takes the request or no answer comes in time, or it says that this call was
// cancelled.
func (r *Request) Call(producer string, v any, options ...Option) (*Answer, error) {
	if r.toCall != nil { // the encoder may be the handler's code: it runs on the handler's goroutine
		body, err := r.server.claimed(producer, v, options)
		if err != nil {
			return nil, fmt.Errorf("call %s: %w", producer, err)
		}
		v = body
	} else if err := r.open(); err != nil {
		return nil, fmt.Errorf("call %s: %w", producer, err)
	}
	answer, err := r.request(producer, v, options)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", producer, err)
	}
	if answer.Status >= 400 {
		return answer, fmt.Errorf("call %s: %w", producer, &StatusError{Status: answer.Status, Text: errorText(answer.Body)})
	}
	return answer, nil
}

func (r *Request) request(name string, v any, options []Option) (*Answer, error) {
	var answer *Answer
	err := r.await(func(r *Request, w *pause) error {
		if err := r.open(); err != nil {
			return err
		}
		forget, err := r.ask(name, v, options, func(a *Answer, err error) {
			answer = a
			if err != nil {
				err = fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			w.end(err)
		})
		w.stop = forget
		return err
	})
	if err != nil {
		return nil, err
	}
	answer.unpackMax, answer.request = r.server.options.UnpackMax, r
	return answer, nil
}

// ask sends the request of a [Request.Call].
func (r *Request) ask(name string, v any, options []Option, done func(*Answer, error)) (forget func(), err error) {
	p, err := r.producer(name)
	if err != nil {
		return nil, err
	}
	requester, ok := p.sender.(Requester)
	if !ok {
		return nil, errors.New("its connection cannot wait for answers")
	}
	var t Tx
	timeout := CallTimeout
	for i := range options {
		if options[i].kind == optTimeout {
			timeout = time.Duration(options[i].num)
		}
	}
	d := p.draft(r.Now())
	if r.server.ids {
		d.requestID = r.requestID
	}
	d.mandatory = !p.NoMandatory // a request without a queue fails at once
	if err := d.apply(r.serving(), options); err != nil {
		return nil, err
	}
	span := r.traced(&d, SendCall)
	if err := t.add(r, p, &d, r.claim(v, &d)); err != nil {
		return nil, err
	}
	pub := &t.pubs[0]
	pub.RawProperties, pub.Body = t.arena[pub.propsAt:pub.bodyAt], t.arena[pub.bodyAt:pub.endAt]
	if pub.large != nil {
		pub.Body = pub.large
	}
	if span != nil {
		span.Send(&pub.Publication)
		done = endingSpan(span, done)
	}
	forget, err = requester.Request(&pub.Publication, timeout, done)
	if err != nil {
		if span != nil {
			span.End(err)
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if span != nil {
		return func() { span.End(context.Canceled); forget() }, nil
	}
	return forget, nil
}

// NewAnswer makes an answer from a copy of a reply's properties and body; doors call it.
func NewAnswer(rawProperties, body []byte) (*Answer, error) {
	var props amqpproto.Properties
	if _, err := props.Decode(rawProperties); err != nil {
		return nil, err
	}
	p, err := props.Publishing()
	if err != nil {
		return nil, err
	}
	a := &Answer{Status: 200, ContentType: p.ContentType, Encoding: p.ContentEncoding, Headers: p.Headers, Body: append([]byte(nil), body...)}
	if f, ok := props.Headers.Lookup(StatusHeader); ok {
		if n, ok := f.Int(); ok && n >= 100 && n <= 999 {
			a.Status = int(n)
		}
	}
	return a, nil
}
