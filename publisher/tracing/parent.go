package tracing

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"zamqp/publisher"
)

// texts are what one request or message says of its trace.
type texts struct{ parent, state string }

func (c texts) Get(key string) string {
	switch key {
	case "traceparent":
		return c.parent
	case "tracestate":
		return c.state
	}
	return ""
}

func (texts) Set(string, string) {}
func (texts) Keys() []string     { return []string{"traceparent", "tracestate"} }

// read returns the span context that a traceparent names, by the rules of W3C Trace Context; an
// invalid one is as none.
func read(parent, state []byte) trace.SpanContext {
	if len(parent) == 0 || len(parent) > parentMax {
		return trace.SpanContext{}
	}
	if len(state) == 0 {
		if sc, ok := readPlain(parent); ok {
			return sc
		}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), texts{string(parent), string(state)})
	return trace.SpanContextFromContext(ctx)
}

// readPlain reads a valid traceparent of version 00 without the allocations of the library. It leaves
// everything else to that.
func readPlain(b []byte) (sc trace.SpanContext, ok bool) {
	const length, spanAt, flagsAt = 55, 36, 53
	if len(b) != length || string(b[:3]) != "00-" || b[spanAt-1] != '-' || b[flagsAt-1] != '-' {
		return sc, false
	}
	for _, c := range b {
		if c >= 'A' && c <= 'F' {
			return sc, false
		}
	}
	var c trace.SpanContextConfig
	var flags [1]byte
	_, err := hex.Decode(c.TraceID[:], b[3:spanAt-1])
	_, err2 := hex.Decode(c.SpanID[:], b[spanAt:flagsAt-1])
	_, err3 := hex.Decode(flags[:], b[flagsAt:])
	if err != nil || err2 != nil || err3 != nil || flags[0] > 3 {
		return sc, false
	}
	c.TraceFlags, c.Remote = trace.TraceFlags(flags[0])&trace.FlagsSampled, true
	sc = trace.NewSpanContext(c)
	return sc, sc.IsValid()
}

// parentMax is the longest traceparent that is read, in octets. That of version 00 has 55; later ones
// may be longer.
const parentMax = 512

// parentOf returns the span that has caused a call, and the first attempt of a message.
func parentOf(c *publisher.Call) (parent, first trace.SpanContext) {
	text, attempt, parents, states := c.TraceContext()
	if parents == 1 { // several are as none: W3C Trace Context §3.2
		parent = read(text, bytes.Join(states, []byte(",")))
	}
	if text := c.Message().FirstAttempt; text != "" {
		attempt = []byte(text)
	}
	return parent, read(attempt, nil)
}

// headersOf returns the headers that make sc the parent of what gets them.
func headersOf(sc trace.SpanContext) publisher.TraceHeaders {
	return publisher.TraceHeaders{Parent: parentText(sc.TraceID(), sc.SpanID(), sc.TraceFlags()), State: sc.TraceState().String()}
}

// parentText is a traceparent of version 00.
func parentText(t trace.TraceID, s trace.SpanID, flags trace.TraceFlags) string {
	b := make([]byte, 0, 55)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, s[:])
	if flags.IsSampled() {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}

// ids makes the ids of spans. A publish has its id before its span begins.
type ids struct{}

type (
	chosenID    struct{}
	chosenTrace struct{}
)

func (ids) NewIDs(ctx context.Context) (t trace.TraceID, s trace.SpanID) {
	if id, ok := ctx.Value(chosenTrace{}).(trace.TraceID); ok {
		return id, newSpanID()
	}
	return newTraceID(), newSpanID()
}

func newTraceID() (t trace.TraceID) {
	for !t.IsValid() {
		binary.NativeEndian.PutUint64(t[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(t[8:], rand.Uint64())
	}
	return t
}

func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) (s trace.SpanID) {
	if id, ok := ctx.Value(chosenID{}).(trace.SpanID); ok {
		return id
	}
	return newSpanID()
}

func newSpanID() (s trace.SpanID) {
	for !s.IsValid() {
		binary.NativeEndian.PutUint64(s[:], rand.Uint64())
	}
	return s
}
