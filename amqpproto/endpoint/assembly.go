package endpoint

import "zamqp/amqpproto"

// Assembly assembles the method, header and bodies of one channel's content when they
// arrive in several pieces. It is an [amqpproto.Assembler] with a copy of the method's
// arguments, because their octets are gone when the last body comes. Call Init first.
//
// Client and broker check a frame in the same order: whether this type may come (Takes),
// the method's arguments, the header's class and size, the size of the bodies. They
// differ in how they handle errors. A broker ends the connection or channel with
// RabbitMQ's text. A client asks the owner of the channel what to do about a body over
// its limit, and accepts header frames over frame_max, which RabbitMQ sends.
type Assembly struct {
	asm  amqpproto.Assembler
	args []byte // the arguments of the method that began it
}

// argsKeep bounds the copy of arguments that an idle channel keeps. Three short strings
// fit.
const argsKeep = 1024

// Init sets the channel of the Assembly and drops its content. room gives the memory for
// a large body; nil means Go's heap.
func (a *Assembly) Init(channel uint16, bodyMax uint64, room amqpproto.Room) {
	*a = Assembly{asm: amqpproto.Assembler{Channel: channel, BodyMax: bodyMax, Room: room}}
}

// Busy reports whether a header or body is expected.
func (a *Assembly) Busy() bool { return a.asm.Busy() }

// AwaitsHeader reports whether a busy Assembly expects its header, not a body.
func (a *Assembly) AwaitsHeader() bool { return a.asm.Content().Class == 0 }

// Takes reports whether a frame of that type may come next.
func (a *Assembly) Takes(frame byte) bool {
	return a.asm.Busy() && (frame == amqpproto.FrameHeader) == a.AwaitsHeader()
}

// Begin starts with a method with content, whose arguments have been checked.
func (a *Assembly) Begin(id amqpproto.MethodID, args []byte) error {
	a.args = append(a.args[:0], args...)
	return a.asm.Begin(id)
}

// Frame handles a content header or body. done says that the content is complete: use
// Args and Content, then call Reset. After an error nothing is kept.
func (a *Assembly) Frame(f amqpproto.Frame) (done bool, err error) {
	if f.Type != amqpproto.FrameHeader {
		return a.asm.Body(f.Payload)
	}
	if err = a.asm.Header(f.Payload); err != nil {
		return false, err
	}
	return a.asm.Done(), nil
}

// Method returns the method that began the content.
func (a *Assembly) Method() amqpproto.MethodID { return a.asm.Content().Method }

// Args returns the arguments of that method.
func (a *Assembly) Args() []byte { return a.args }

// Content returns what has come. Its views are valid until Reset.
func (a *Assembly) Content() *amqpproto.Content { return a.asm.Content() }

// Held returns how many octets of memory the current body uses, or the last one has left
// for the next.
func (a *Assembly) Held() int { return a.asm.Held() }

// Reset releases a complete content, or drops an incomplete one when the channel is
// closed. It also frees the memory of a large one.
func (a *Assembly) Reset() {
	a.asm.Reset()
	if cap(a.args) > argsKeep {
		a.args = nil
	}
}
