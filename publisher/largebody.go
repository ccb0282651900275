package publisher

import (
	"encoding/json"
	"strings"

	"zamqp/amqpproto"
	"zamqp/loop/coro"
)

// The loop never handles a large body, one over [amqpproto.LargeBody], whole in one turn. It
// copies the body in pieces, with turns in between. Work that reads all of the body, such as
// decompressing or decoding, runs on another goroutine while the call waits. The memory of a
// large body is not used again for another body. So a door or a store may use it where it is,
// also after the call has ended.

// ownBody is a body that belongs to the transaction: nobody writes to its memory.
type ownBody []byte

// claim makes a large body that needs no codec the transaction's own. It returns other values
// unchanged. r may be nil.
func (r *Request) claim(v any, d *draft) any {
	switch body := v.(type) {
	case []byte:
		if len(body) > amqpproto.LargeBody && !d.gzip {
			return ownBody(r.copyLarge(body))
		}
	case string:
		if len(body) > amqpproto.LargeBody && d.typed {
			return ownBody(view(body))
		}
	}
	return v
}

// copyLarge copies a large body in pieces. Where the call can wait, the loop gets a turn
// between two pieces.
func (r *Request) copyLarge(body []byte) []byte {
	own := amqpproto.MakeDirty(len(body))
	for {
		n := min(len(body), amqpproto.LargeBody)
		own = append(own, body[:n]...)
		if body = body[n:]; len(body) == 0 {
			return own
		}
		if r.canWait() {
			r.yield()
		}
	}
}

// textSize is the size of a value that is one text, such as a string: a large one is encoded
// on another goroutine. It is 0 for every other value, whose size is known only after
// encoding.
func textSize(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	case json.RawMessage:
		return len(v)
	}
	return 0
}

// encodeLarge encodes a value of large textSize, and compresses it if gzip is set. The result
// may be a view of a string, so nobody may write to it. r may be nil.
func (r *Request) encodeLarge(codec Codec, v any, gzip bool) (body []byte, err error) {
	s, same := v.(string)
	if same {
		_, same = codec.(textCodec)
	}
	if same && !gzip {
		return view(s), nil
	}
	failed := r.apart(func() error {
		if body = view(s); !same {
			body, err = codec.Append(nil, v)
		}
		if err == nil && gzip {
			body, err = gzipped(body)
		}
		return nil
	})
	if failed != nil {
		return nil, failed
	}
	return body, err
}

// callHere returns the call that the calling code belongs to. It is nil on other goroutines.
func callHere() *Request {
	if c, ok := coro.Current().(*Call); ok {
		return c.Request()
	}
	return nil
}

// errorTextMax bounds the text that an error takes from a body.
const errorTextMax = 64 << 10

// errorText returns a body as the text of an error.
func errorText(body []byte) string {
	if len(body) <= errorTextMax {
		return string(body)
	}
	return strings.ToValidUTF8(string(body[:errorTextMax]), "") + "…"
}

// cloneBody copies a body. It may run on any goroutine. Go cannot interrupt a copy, so a
// large body is copied in pieces.
func cloneBody(body []byte) []byte {
	if len(body) > amqpproto.LargeBody {
		var nobody *Request
		return nobody.copyLarge(body)
	}
	return append([]byte(nil), body...)
}

// copyBody copies a body into dst. A large body gets memory of its own.
func (r *Request) copyBody(dst, body []byte) []byte {
	if len(body) > amqpproto.LargeBody {
		return r.copyLarge(body)
	}
	return append(dst[:0], body...)
}

// yield lets the loop have a turn.
func (r *Request) yield() {
	over := false
	s := r.running
	if !r.server.runtime.Post(func() { over = true; s.wake() }) {
		return
	}
	for !over {
		r.park()
	}
}

// canWait reports whether the caller is the call's own coroutine, which can give the
// thread back to the loop.
func (r *Request) canWait() bool {
	self := coro.Self()
	return r != nil && self != 0 && r.toCall == nil && r.owner.Load() == self && r.main.task != nil
}

// apart runs fn on another goroutine while the call waits, because fn takes long for a large
// body. Where the call cannot wait, fn runs here.
func (r *Request) apart(fn func() error) error {
	if !r.canWait() {
		return fn()
	}
	return r.offload(r.server.bodies, fn)
}

// bodiesPool is the name of the pool that works on large bodies, in metrics and errors.
// No handler can register one of that name.
const bodiesPool = "large bodies"

// bodiesWorkers is how many large bodies are worked on at once. Each needs several times its
// size in memory.
const bodiesWorkers = 4
