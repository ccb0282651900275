package amqpproto

import (
	"fmt"
	"math"
)

// Content is a complete message: the header and body after a method with content.
//
// RawProperties and Body are valid until the Assembler's next Begin or Reset. If the
// whole content came in one Feed, they are valid only as long as that input: treat
// them as views into the frame that completed the content.
type Content struct {
	Method        MethodID // the method to which it belongs
	Class         uint16
	BodySize      uint64
	RawProperties []byte // flags and values
	Body          []byte
	Owned         bool // nothing else uses the memory of Body: the receiver may keep it
}

// Assembler assembles the content that follows a method on one channel, for either
// role. Pass it each frame of the channel, in order.
//
//	method frame   Begin for every method; with content it is then Busy
//	header frame   Header; an empty body is Done already
//	body frame     Body, until done
//
// Frames of other channels may come in between. Frames of this channel in another
// order are a ConnectionError 505 (AMQP 0-9-1 §4.2.6.2). A content that differs from
// its declaration is a ConnectionError 501. After an error the Assembler is reset.
//
// Memory: a body in one frame is a view. A body in several frames is collected in a
// buffer that grows as octets arrive, to at most twice what has come, whatever size was
// declared. A buffer of up to 1 MiB is kept for the next content. A large body goes to
// Room, or else to a [Collector]: no octet of it is copied more than three times, and
// never many octets at once.
type Assembler struct {
	// BodyMax is the largest body that is accepted; 0 means BodyMaxDefault. The header of
	// a larger one is a ChannelError 311: close the channel, and drop the frames that
	// still come on it until close-ok.
	BodyMax uint64
	// Channel is used in errors only.
	Channel uint16
	// Room gives the memory for a body over LargeBody, once that much of it has arrived. nil
	// means Go's heap.
	Room Room

	state   assemblerState
	content Content
	props   []byte // owned copy of the properties while bodies are awaited
	body    []byte // owned, collects a body of several frames
	got     uint64 // octets of body so far
	roomy   bool   // body is Room's
	large   Collector
}

// A Room gives memory for bodies.
type Room interface {
	// Reserve returns size octets of memory. The Room still owns it: the Assembler stops
	// using it when the content has been handled, or is dropped.
	Reserve(size int) []byte
}

// assemblerState is named after what is awaited.
type assemblerState uint8

const (
	awaitMethod assemblerState = iota
	awaitHeader
	awaitBody
)

func (s assemblerState) String() string {
	return [...]string{"a method", "a content header", "a body"}[s]
}

// bodyKeep and propsKeep bound what an idle channel keeps for the next content.
const (
	bodyKeep  = LargeBody
	propsKeep = 16 << 10
)

// Begin handles a method frame. A method with content makes the Assembler Busy, any
// other leaves it idle. A method while the rest of a content is expected is a
// ConnectionError 505.
func (a *Assembler) Begin(id MethodID) error {
	if a.state != awaitMethod {
		return a.unexpected(id.String())
	}
	a.content = Content{}
	if !id.HasContent() {
		return nil
	}
	a.content.Method = id
	a.state = awaitHeader
	a.trim()
	return nil
}

// Header handles the payload of a content header frame. With an empty body the content
// is Done; no body frame follows.
func (a *Assembler) Header(payload []byte) error {
	if a.state != awaitHeader {
		return a.unexpected("a content header")
	}
	var h ContentHeader
	if err := h.Decode(payload); err != nil {
		return a.fail(err)
	}
	c := &a.content
	if h.Class != c.Method.Class() {
		return a.fail(&ConnectionError{Code: UnexpectedFrame, Method: c.Method,
			Text: fmt.Sprintf("content header of class %d, class %d was expected", h.Class, c.Method.Class())})
	}
	if most := a.bodyMax(); h.BodySize > most {
		return a.fail(&ChannelError{Code: ContentTooLarge, Method: c.Method, Channel: a.Channel,
			Text: fmt.Sprintf("a body of %d octets, at most %d are taken", h.BodySize, most)})
	}
	c.Class, c.BodySize = h.Class, h.BodySize
	if h.BodySize == 0 {
		c.RawProperties = h.RawProperties
		a.state = awaitMethod
		return nil
	}
	// The bodies may come in a later read, when the octets of the header are gone.
	a.props = append(a.props[:0], h.RawProperties...)
	c.RawProperties = a.props
	a.got = 0
	a.body = a.body[:0]
	a.state = awaitBody
	return nil
}

// Body handles the payload of a body frame. done says that the content is complete. An
// empty frame is accepted while more octets are expected, as in RabbitMQ. More octets
// than were declared are a ConnectionError 501.
func (a *Assembler) Body(payload []byte) (done bool, err error) {
	if a.state != awaitBody {
		return false, a.unexpected("a body")
	}
	c := &a.content
	left := c.BodySize - a.got
	if uint64(len(payload)) > left {
		return false, a.fail(&ConnectionError{Code: FrameError, Method: c.Method,
			Text: fmt.Sprintf("a body frame of %d octets, %d of the declared %d are left", len(payload), left, c.BodySize)})
	}
	if a.got == 0 && uint64(len(payload)) == c.BodySize {
		c.Body = payload
		a.state = awaitMethod
		return true, nil
	}
	a.collect(payload)
	if a.got < c.BodySize {
		return false, nil
	}
	c.Body = a.body
	if a.large.Busy() {
		c.Body, c.Owned = a.large.Take(), true
	}
	if a.roomy {
		a.body, a.roomy = nil, false
	}
	a.state = awaitMethod
	return true, nil
}

// collect copies a part of the body. The buffer doubles, but not over the
// declared size: the last doubling of a large body would be wasted.
func (a *Assembler) collect(part []byte) {
	a.got += uint64(len(part))
	if a.large.Busy() {
		a.large.Add(part)
		return
	}
	need := len(a.body) + len(part)
	if need > cap(a.body) {
		if need > LargeBody {
			a.enlarge(part)
			return
		}
		size := min(uint64(max(2*cap(a.body), need)), a.content.BodySize, LargeBody)
		grown := make([]byte, len(a.body), size)
		copy(grown, a.body)
		a.body = grown
	}
	a.body = append(a.body, part...)
}

// enlarge moves a body that has become large to Room or a Collector.
func (a *Assembler) enlarge(part []byte) {
	if a.Room == nil {
		a.large.Begin(a.body, int(a.content.BodySize))
		a.large.Add(part)
		a.body = nil
		return
	}
	room := a.Room.Reserve(int(a.content.BodySize))
	n := copy(room, a.body)
	n += copy(room[n:], part)
	a.body, a.roomy = room[:n], true
}

// Content returns the content that Header or Body completed; see [Content] for how long
// it is valid. Before that it is incomplete.
func (a *Assembler) Content() *Content { return &a.content }

// Held returns how many octets of memory the current body uses, or the last one has
// left for the next.
func (a *Assembler) Held() int {
	switch {
	case a.large.Busy():
		return a.large.Held()
	case a.roomy:
		return len(a.body) // the rest of it has not been touched
	}
	return cap(a.body)
}

// Busy reports whether a header or body is expected: any other frame of the channel is
// an error.
func (a *Assembler) Busy() bool { return a.state != awaitMethod }

// Done reports whether the content is complete: from the Header or Body that completes
// it until the next Begin or Reset.
func (a *Assembler) Done() bool { return a.state == awaitMethod && a.content.Method != 0 }

// Reset drops an incomplete content, for a channel that has been closed.
func (a *Assembler) Reset() {
	a.state = awaitMethod
	a.content = Content{}
	a.trim()
}

// trim frees buffers that a large content has left.
func (a *Assembler) trim() {
	a.large = Collector{}
	if cap(a.body) > bodyKeep || a.roomy {
		a.body, a.roomy = nil, false
	}
	if cap(a.props) > propsKeep {
		a.props = nil
	}
}

// bodyMax returns BodyMax, but not more than the length that a slice can have.
func (a *Assembler) bodyMax() uint64 {
	if a.BodyMax == 0 {
		return BodyMaxDefault
	}
	return min(a.BodyMax, math.MaxInt)
}

func (a *Assembler) fail(err error) error {
	a.Reset()
	return err
}

func (a *Assembler) unexpected(what string) error {
	var id MethodID // an error for the content that was awaited, not for the one before
	if a.Busy() {
		id = a.content.Method
	}
	return a.fail(&ConnectionError{Code: UnexpectedFrame, Method: id,
		Text: fmt.Sprintf("%s came on channel %d, %s was awaited", what, a.Channel, a.state)})
}
