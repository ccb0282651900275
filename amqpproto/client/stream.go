package client

import (
	"maps"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// RabbitMQ's arguments for a stream and for a position in it. Each delivery has its
// position in a header of the same name.
const (
	argQueueType    = "x-queue-type"
	argStreamOffset = "x-stream-offset"
)

// position is how far a consumer of a stream has read. The broker does not remember
// this for AMQP 0-9-1. A consumer that started again at its declared offset would read
// messages twice, or miss those that came while it was disconnected.
type position struct {
	stream bool
	known  bool
	next   int64 // offset to consume from
	props  amqpproto.Properties
}

// isStream reports whether a spec consumes from a stream.
func isStream(spec *ConsumerSpec) bool {
	if _, is := spec.Args[argStreamOffset]; is {
		return true
	}
	return len(spec.Queues) > 0 && spec.Queues[0].Args[argQueueType] == "stream"
}

// came records the offset of a delivery. If its headers cannot be read, it is assumed
// to be the next one in the stream, because otherwise the window would still hold the
// offset of an old delivery for this tag.
func (p *position) came(w *window, tag uint64, properties []byte) {
	offset, ok := p.offset(properties)
	if !ok {
		if !p.known {
			return
		}
		offset = p.next
	}
	w.setOffset(tag, offset)
	p.next, p.known = offset+1, true
}

// offset reads the offset of a delivery.
func (p *position) offset(properties []byte) (offset int64, ok bool) {
	if _, err := p.props.Decode(properties); err != nil {
		return 0, false
	}
	f, ok := p.props.Headers.Lookup(argStreamOffset)
	if !ok {
		return 0, false
	}
	return f.Int()
}

// back moves the position to the first delivery that was not settled, when the channel
// has ended, so that it is delivered again.
func (p *position) back(w *window) {
	if offset, any := w.lowestOffset(); any {
		p.next = min(p.next, offset)
	}
}

// args returns the arguments for basic.consume.
func (p *position) args(of amqp.Table) amqp.Table {
	if !p.known {
		return of
	}
	t := maps.Clone(of)
	if t == nil {
		t = amqp.Table{}
	}
	t[argStreamOffset] = p.next
	return t
}

// setOffset records the stream offset of a tag in the window.
func (w *window) setOffset(tag uint64, offset int64) {
	if len(w.offsets) != w.tags.Cap() {
		old := w.offsets
		w.offsets = make([]int64, w.tags.Cap())
		for t := w.tags.Base(); len(old) > 0 && t < tag; t++ {
			w.offsets[t&uint64(len(w.offsets)-1)] = old[t&uint64(len(old)-1)]
		}
	}
	w.offsets[tag&uint64(len(w.offsets)-1)] = offset
}

// lowestOffset returns the offset of the first tag that is not settled.
func (w *window) lowestOffset() (offset int64, any bool) {
	if len(w.offsets) != w.tags.Cap() {
		return 0, false
	}
	for t := w.tags.Base(); t < w.tags.Next(); t++ {
		if s := *w.tags.At(t); s == tagOutstanding || s == tagKept {
			return w.offsets[t&uint64(len(w.offsets)-1)], true
		}
	}
	return 0, false
}
