package endpoint

import "zamqp/amqpproto"

// Assembly puts together the method, header and bodies of one channel's content
// when they do not all come in one piece: an [amqpproto.Assembler] with a copy of
// the method's arguments, as their octets are gone by the time that the last body
// comes. Init comes first.
//
// The roles look at a frame in the same order: whether it is one that may come
// (Takes), the method's arguments, the header's class and size, the bodies' size.
// They differ in what a fault costs. A broker ends the connection or channel in
// RabbitMQ's words. A client asks the owner of the channel what a body over its
// limit means, and takes header frames over frame_max, which RabbitMQ sends.
type Assembly struct {
	asm  amqpproto.Assembler
	args []byte // of the method that began it
}

// argsKeep bounds the copy of arguments that an idle channel keeps: three short
// strings fit.
const argsKeep = 1024

// Init makes the Assembly one of a channel, and drops what it had. room is where a
// large body comes to; nil is Go's heap.
func (a *Assembly) Init(channel uint16, bodyMax uint64, room amqpproto.Room) {
	*a = Assembly{asm: amqpproto.Assembler{Channel: channel, BodyMax: bodyMax, Room: room}}
}

// Busy says whether a header or body is awaited.
func (a *Assembly) Busy() bool { return a.asm.Busy() }

// AwaitsHeader says of a busy Assembly that its header is to come, not a body.
func (a *Assembly) AwaitsHeader() bool { return a.asm.Content().Class == 0 }

// Takes says whether a frame of that type is what comes next.
func (a *Assembly) Takes(frame byte) bool {
	return a.asm.Busy() && (frame == amqpproto.FrameHeader) == a.AwaitsHeader()
}

// Begin takes a method with content, whose arguments have shown to be whole.
func (a *Assembly) Begin(id amqpproto.MethodID, args []byte) error {
	a.args = append(a.args[:0], args...)
	return a.asm.Begin(id)
}

// Frame takes a content header or body. done says that the content is whole: look
// at Args and Content, then call Reset. After an error nothing is kept.
func (a *Assembly) Frame(f amqpproto.Frame) (done bool, err error) {
	if f.Type != amqpproto.FrameHeader {
		return a.asm.Body(f.Payload)
	}
	if err = a.asm.Header(f.Payload); err != nil {
		return false, err
	}
	return a.asm.Done(), nil
}

// Method is the method that began the content.
func (a *Assembly) Method() amqpproto.MethodID { return a.asm.Content().Method }

// Args are the arguments of that method.
func (a *Assembly) Args() []byte { return a.args }

// Content is what has come; its views live until Reset.
func (a *Assembly) Content() *amqpproto.Content { return a.asm.Content() }

// Held is how many octets of memory the body takes that is coming, or that the
// last one has left for the next.
func (a *Assembly) Held() int { return a.asm.Held() }

// Reset lets go of a content that is whole, or drops what was coming as the channel
// is closed. Memory that a large one took goes with it.
func (a *Assembly) Reset() {
	a.asm.Reset()
	if cap(a.args) > argsKeep {
		a.args = nil
	}
}
