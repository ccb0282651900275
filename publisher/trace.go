package publisher

import "zamqp/amqpproto"

// zamqp follows a failed message by these keys of its headers table: on the way through a
// retry queue, and in the dead-letter queue.
const (
	TraceAttempt    = "x-zamqp-attempt"     // failed attempts so far
	TraceCrashes    = "x-zamqp-crashes"     // how often a process ended with the message in hand
	TraceExchange   = "x-zamqp-exchange"    // the exchange of its first publish
	TraceRoutingKey = "x-zamqp-routing-key" // the routing key of its first publish
	TraceQueue      = "x-zamqp-queue"       // the queue in which it failed first
	TraceReason     = "x-zamqp-reason"      // one of the reasons below
	TraceError      = "x-zamqp-error"       // the text of the last error, at most TraceErrorMax octets
	TraceHandler    = "x-zamqp-handler"     // the consumer whose handler failed
	TraceTime       = "x-zamqp-time"        // the time of the last failure
	TraceExpiration = "x-zamqp-expiration"  // the expiration of the original message
	// TraceFirstAttempt is the traceparent of the first attempt, for the links of later ones. A message
	// that is published again from a dead-letter queue keeps it.
	TraceFirstAttempt = "x-zamqp-first-attempt"
	TraceUserID       = "x-zamqp-user-id" // the user id of the original message; the broker refuses that of another user

	// The headers CC and BCC of the original message. Under their own names, a broker would
	// send each copy to all those queues again. [Request.Delivery] restores them.
	TraceCC  = "x-zamqp-cc"
	TraceBCC = "x-zamqp-bcc"
)

// movedKeys maps the name of a header in a copy to its name in the original.
var movedKeys = map[string]string{TraceCC: "CC", TraceBCC: "BCC"}

// TraceErrorMax limits the text of an error in a message's headers, in octets.
const TraceErrorMax = 1024

// The reasons why a message was given up, in [TraceReason].
const (
	ReasonPermanent = "permanent" // its failure is permanent
	ReasonAttempts  = "attempts"  // it has failed as often as its consumer's retry allows
	ReasonCrashed   = "crashed"   // processes ended too often with the message in hand
	ReasonMalformed = "malformed" // its properties cannot be read
)

// traceKeys are the keys of the traces, without TraceCC, TraceBCC and TraceFirstAttempt.
var traceKeys = [...]string{TraceAttempt, TraceCrashes, TraceExchange, TraceRoutingKey, TraceQueue,
	TraceReason, TraceError, TraceHandler, TraceTime, TraceExpiration, TraceUserID}

// Untrace removes the traces of failures from a message that is published again from a
// dead-letter queue, for example after a repair. Only TraceCC, TraceBCC and TraceFirstAttempt stay. It returns
// the exchange and the routing key of the message's first publish; ok is false if zamqp has
// left no traces. Untrace also removes the broker's own x-death: otherwise the broker would
// think that the message moves in a circle, and drop it at the end of its next delay.
func Untrace(p *Publishing) (exchange, key string, ok bool) {
	if p.Headers == nil {
		return "", "", false
	}
	key, ok = p.Headers[TraceRoutingKey].(string)
	exchange, _ = p.Headers[TraceExchange].(string)
	if text, was := p.Headers[TraceExpiration].(string); was {
		p.Expiration = text
	}
	headers := make(Table, len(p.Headers))
	for name, value := range p.Headers {
		headers[name] = value
	}
	for _, name := range traceKeys {
		delete(headers, name)
	}
	for _, name := range brokerTraces {
		delete(headers, name)
	}
	if p.Headers = headers; len(headers) == 0 {
		p.Headers = nil
	}
	return exchange, key, ok
}

// brokerTraces are the keys in which a broker records what has happened to a message.
var brokerTraces = [...]string{"x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason",
	"x-last-death-exchange", "x-last-death-queue", "x-last-death-reason", "x-delivery-count", "x-acquired-count"}

// number returns a whole number from the message's headers; 0 if there is none.
func (r *Request) number(key string) int {
	if !r.props.Has(amqpproto.FlagHeaders) {
		return 0
	}
	f, ok := r.props.Headers.Lookup(key)
	if !ok {
		return 0
	}
	n, _ := f.Int()
	return int(max(0, min(n, 1<<30)))
}

// readTrace fills in the message's history from its headers: how often it was tried, and
// where it was before zamqp's own queues.
func (r *Request) readTrace() {
	h := &r.message.History
	h.Failed, h.Crashes = 0, 0
	if r.props.Has(amqpproto.FlagHeaders) {
		h.Failed = r.number(TraceAttempt) + r.deaths()
		h.Crashes = r.number(TraceCrashes)
		r.readOrigin()
	}
}

// readOrigin restores the exchange and the routing key that the message was first
// published with. A message comes back from a retry queue or a dead-letter queue through
// the default exchange.
func (r *Request) readOrigin() {
	key, ok := r.props.Headers.Lookup(TraceRoutingKey)
	if !ok || len(r.message.Exchange) != 0 {
		return
	}
	exchange, _ := r.props.Headers.Lookup(TraceExchange)
	r.message.Exchange, _ = exchange.Bytes()
	r.message.RoutingKey, _ = key.Bytes()
}

// deaths counts how often the message was rejected from its own queue. It reads x-death,
// which counts if the user's own topology brings messages back.
func (r *Request) deaths() (n int) {
	f, ok := r.props.Headers.Lookup("x-death")
	if !ok || r.message.Queue == "" {
		return 0
	}
	value, err := f.Value()
	if err != nil {
		return 0
	}
	entries, _ := value.([]any)
	for _, entry := range entries {
		death, _ := entry.(Table)
		if death["queue"] != r.message.Queue || death["reason"] != "rejected" {
			continue
		}
		count, _ := death["count"].(int64)
		n += int(max(1, min(count, 1<<20)))
	}
	return n
}
