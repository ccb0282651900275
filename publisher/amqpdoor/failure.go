package amqpdoor

import (
	"errors"
	"strings"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// A handover is a message that was published to another queue of ours: when the
// broker has confirmed that, its original is acked; not before, so that at no
// time there is none.
type handover struct {
	in     *intake
	epoch  uint32
	tag    uint64
	hash   uint64 // for k.known, if it has to go back after all
	untold int
	queue  string
	slot   uint32 // of its evidence
}

// Confirmed takes the broker's word for the copy.
func (h *handover) Confirmed(err error) {
	if err == nil {
		h.settle()
		return
	}
	if h.in.isFinal() {
		h.in.k.complain(err, h.queue, "a message was lost: it could not be moved")
		return
	}
	h.requeueLater(err)
}

// Late makes a handover wait for the broker's word on its copy, however long that
// takes: a broker that has the copy and is slow would have two of the message if
// the original went back.
func (h *handover) Late() {}

// requeueLater gives the original back after a while: the handler has to try it
// again, since no queue of ours took it. A lost connection has done that itself.
func (h *handover) requeueLater(err error) {
	k := h.in.k
	var lost *client.LostError
	if h.in.epoch != h.epoch || errors.As(err, &lost) {
		return
	}
	h.abandon()
	k.complain(err, h.queue, "a message could not be moved; it goes back to its queue in a while")
	k.link.door.runtime.After(requeueDelay, func() {
		if h.in.epoch == h.epoch {
			k.known.put(h.hash, h.untold)
			h.in.reject(h.epoch, h.tag, true)
		}
	})
}

// requeueDelay is how long a message waits that could be moved to no queue of
// ours, before it is tried again.
const requeueDelay = 10 * time.Second

func (k *consumer) complain(err error, queue, text string) {
	k.link.door.log.Error().Err(err).Str("consumer", k.name).Str("queue", queue).Msg(text)
}

// retry lets the message wait for its next attempt: in a queue beside its own,
// or here. held says that it is here.
func (in *intake) retry(r *publisher.Request) (here bool) {
	k, m, outcome := in.k, r.Message(), r.Outcome()
	if errors.Is(outcome.Err, publisher.ErrShutdown) || k.stopped && outcome.Delay <= 0 {
		in.handBack(m.Epoch, m.DeliveryTag)
		return false
	}
	p := in.copyOf(r)
	// Another user's id would be refused, and a header in its place proves nothing.
	if !k.declared.RetriesInQueues() || !k.link.client.HasArguments() || len(p.UserID) > 0 {
		in.hold(r)
		return true
	}
	p.headers[publisher.TraceAttempt] = int64(m.History.Failed + m.History.Untold + 1)
	if ends := m.History.Crashes + m.History.Ends; ends > 0 {
		p.headers[publisher.TraceCrashes] = int64(ends)
	}
	p.failed(r, "")
	if err := in.move(r, p, publisher.RetryQueue(m.Queue, outcome.Delay)); err != nil {
		k.complain(err, m.Queue, "a failed message could not be moved to its retry queue; it waits here")
		in.hold(r)
		return true
	}
	return false
}

// malformed gives up a message whose properties no handler could read, now or
// later, though the broker let them pass.
func (in *intake) malformed(r *publisher.Request, err error) {
	in.k.link.door.log.Warn().Err(err).Str("consumer", in.k.name).Msg("a message with malformed properties goes to the dead-letter queue")
	r.Outcome().Err = err
	in.giveUp(r, publisher.ReasonMalformed)
	in.k.link.door.server.Discard(r)
}

// giveUp moves the message to the queue for dead letters, with its story; where
// there is none, it is refused, for the dead-letter exchange of its queue.
func (in *intake) giveUp(r *publisher.Request, reason string) {
	m := r.Message()
	dead := in.k.declared.DeadLetterQueue()
	if dead == "" {
		in.refuse(m)
		return
	}
	p := in.copyOf(r)
	if len(p.UserID) > 0 {
		p.headers[publisher.TraceUserID] = string(p.UserID)
		p.UserID = nil
		p.Flags &^= amqpproto.FlagUserID
	}
	failed := m.History.Failed + m.History.Untold
	if reason != publisher.ReasonCrashed {
		failed++
	}
	p.headers[publisher.TraceAttempt] = int64(failed)
	if ends := m.History.Crashes + m.History.Ends; ends > 0 {
		p.headers[publisher.TraceCrashes] = int64(ends)
	}
	p.failed(r, reason)
	p.DeliveryMode = 2
	p.Flags |= amqpproto.FlagDeliveryMode
	err := in.move(r, p, dead)
	switch {
	case err == nil:
	case errors.Is(err, client.ErrPublishMax), errors.Is(err, client.ErrClosed):
		in.k.link.door.unclaim(m)
		in.handover(r, dead).requeueLater(err)
	default: // it fits into no frame with its story, as a rule
		in.k.complain(err, dead, "a message is given up without a word about it")
		in.refuse(m)
	}
}

// refuse leaves the message to the dead-letter exchange of its queue.
func (in *intake) refuse(m *publisher.Message) {
	in.k.link.door.free(m.Slot)
	m.Slot = 0
	in.reject(m.Epoch, m.DeliveryTag, false)
}

// A traced is a copy of a message's properties in the making.
type traced struct {
	amqpproto.Properties
	headers publisher.Table
}

// copyOf begins a copy: what would make the broker treat it in another way than
// the original is taken out, and where it came from is put in.
func (in *intake) copyOf(r *publisher.Request) *traced {
	m := r.Message()
	p := &traced{}
	if _, err := p.Decode(m.Properties); err != nil {
		p.Properties = amqpproto.Properties{}
	}
	var err error
	if p.headers, err = p.Headers.Table(); err != nil || p.headers == nil {
		p.headers = publisher.Table{}
	}
	if len(p.Expiration) > 0 { // or its delay, or its time as a dead letter, would be that
		p.headers[publisher.TraceExpiration] = string(p.Expiration)
		p.Expiration = nil
		p.Flags &^= amqpproto.FlagExpiration
	}
	for _, key := range []string{"CC", "BCC", "x-delivery-count", "x-acquired-count"} {
		delete(p.headers, key) // copies to others once more; a count of another queue
	}
	p.headers[publisher.TraceExchange] = string(m.Exchange)
	p.headers[publisher.TraceRoutingKey] = string(m.RoutingKey)
	if _, told := p.headers[publisher.TraceQueue]; !told {
		p.headers[publisher.TraceQueue] = m.Queue
	}
	return p
}

// failed adds the failure's own traces.
func (p *traced) failed(r *publisher.Request, reason string) {
	p.headers[publisher.TraceHandler] = r.Message().Consumer
	p.headers[publisher.TraceTime] = r.Now()
	if err := r.Outcome().Err; err != nil {
		text := err.Error()
		if len(text) > publisher.TraceErrorMax {
			text = text[:publisher.TraceErrorMax]
		}
		p.headers[publisher.TraceError] = strings.ToValidUTF8(text, "")
	}
	if reason != "" {
		p.headers[publisher.TraceReason] = reason
		return
	}
	p.headers["x-death"] = otherDeaths(p.headers["x-death"], r.Message().Queue)
	if p.headers["x-death"] == nil {
		delete(p.headers, "x-death")
	}
}

// otherDeaths leaves out the deaths in the message's own queue: with one of them
// the broker would take the way back from the retry queue for a circle, and drop
// the message there. Those that count are in the attempts.
func otherDeaths(deaths any, queue string) any {
	list, _ := deaths.([]any)
	var others []any
	for _, entry := range list {
		if death, _ := entry.(publisher.Table); death["queue"] != queue {
			others = append(others, entry)
		}
	}
	if others == nil {
		return nil
	}
	return others
}

// move publishes the copy; the original is acked when that is confirmed. An
// error says that nothing was done.
func (in *intake) move(r *publisher.Request, p *traced, queue string) error {
	headers, err := amqpproto.AppendTable(nil, p.headers)
	if err != nil {
		return err
	}
	p.Headers = headers
	p.Flags |= amqpproto.FlagHeaders
	raw, err := p.Append(nil)
	if err != nil {
		return err
	}
	o := client.Outgoing{RoutingKey: queue, Mandatory: true, RawProperties: raw, Body: r.Body()}
	h := in.handover(r, queue)
	if err := in.k.link.client.Publish(nil, &o, h); err != nil {
		return err
	}
	in.moving(h, r)
	return nil
}

// moving keeps the evidence of a message that moves because of it, until the
// original is gone.
func (in *intake) moving(h *handover, r *publisher.Request) {
	m := r.Message()
	if m.History.Ends == 0 || m.History.Failure != publisher.FailureNone {
		return
	}
	if in.moves == nil {
		in.moves = map[*handover]struct{}{}
	}
	in.moves[h] = struct{}{}
	h.slot, m.Slot = m.Slot, 0
}

func (in *intake) handover(r *publisher.Request, queue string) *handover {
	m := r.Message()
	return &handover{in: in, epoch: m.Epoch, tag: m.DeliveryTag, hash: in.k.known.hash(r), untold: m.History.Untold + 1, queue: queue}
}
