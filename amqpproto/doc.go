// Package amqpproto is AMQP 0-9-1 on the wire, with RabbitMQ's extensions, for
// either role. It has no socket, no clock and no state but that of one content
// being assembled; the machines above it are amqpproto/client and
// amqpproto/broker, and what both of them do is in amqpproto/endpoint.
//
// A byte meets the package in this order:
//
//	CutFrame            one frame out of a buffer
//	Frame.Method        its method id and arguments; SplitMethod without the channel's rules
//	BasicDeliver.…      DecodeArgs of the method's struct
//	Assembler           the content that follows: ContentHeader, then bodies
//	Properties.Decode   on demand
//	RawTable.Each …     on demand
//
// Ownership: decoding gives views. Every []byte, RawTable and Field lives only
// as long as the buffer it was cut from, and has no spare capacity, so that an
// append to it copies. Encoders are AppendX(dst, …) and keep nothing.
//
// Errors of the peer are *ConnectionError or *ChannelError with the reply code
// that the specification names; errors of the caller, who gave a value that
// the wire cannot carry, are *EncodeError, and dst comes back as it was.
//
// Where the specification leaves room, the package does what RabbitMQ does,
// because every client in use was tested against it:
//
//   - Octets after a method's last argument are a frame error, as too few are.
//     RabbitMQ refuses both with 501, so no working client sends them.
//   - Unused bits of a bit octet are ignored.
//   - Tables use RabbitMQ's field types, not those of the 0-9-1 grammar: s is a
//     short integer and not a short string, l and L are both signed.
//   - Strings are octets; UTF-8 is the caller's concern.
//
//go:generate go run ./gen
package amqpproto
