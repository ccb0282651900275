package client

import (
	"maps"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// The arguments by which RabbitMQ knows a stream and a place in it. It tells the
// place of each delivery in a header of the same name.
const (
	argQueueType    = "x-queue-type"
	argStreamOffset = "x-stream-offset"
)

// position is how far a consumer of a stream has come. The broker keeps no such
// thing for AMQP 0-9-1, so that a consumer which consumed again from where its
// declaration says would read everything twice, or miss what came while it was
// away.
type position struct {
	stream bool
	known  bool
	next   int64 // offset to consume from
	props  amqpproto.Properties
}

// isStream tells whether a spec consumes from a stream.
func isStream(spec *ConsumerSpec) bool {
	if _, is := spec.Args[argStreamOffset]; is {
		return true
	}
	return len(spec.Queues) > 0 && spec.Queues[0].Args[argQueueType] == "stream"
}

// came notes the offset of a delivery that goes to the sink. One whose headers
// cannot be read is taken for the next in the stream: without an offset of its own
// the window would give it that of another delivery, long ago.
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

// back goes back to the first delivery that was not settled, when the channel is
// gone: it is not delivered again otherwise.
func (p *position) back(w *window) {
	if offset, any := w.lowestOffset(); any {
		p.next = min(p.next, offset)
	}
}

// args are the arguments to consume with.
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

// setOffset notes the stream offset of a tag that the window holds.
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

// lowestOffset is that of the first tag that is not settled.
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
