package broker

import "zamqp/amqpproto"

// publishing is a basic.publish on its way to the queues. Its slices are views
// into the publisher's input, so it dies with Feed; newMessage makes the copy.
// One is enough for a connection: parse resets what it computes.
type publishing struct {
	exchange []byte
	key      []byte
	props    []byte // flags and values, as on the wire
	body     []byte

	headers    amqpproto.RawTable
	persistent bool
	priority   int16 // -1 = not set
	expiration int64 // milliseconds, -1 = never
	userID     []byte
}

// parse takes the properties apart as far as exchanges and queues look at them.
// The error is a ChannelError 406: an expiration that is no number, headers or
// CC/BCC that cannot be read.
func (p *publishing) parse() error { return nil }

// newMessage copies p into the arena. The caller holds one reference and gives
// it back with release, when queues have theirs. BCC is not copied.
func (s *Server) newMessage(p *publishing) *message { return nil }
