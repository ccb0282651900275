// Package amqpproto encodes and decodes AMQP 0-9-1 with RabbitMQ's extensions, for
// clients and brokers. It has no socket and no clock, and its only state is that of a
// content being assembled. The state machines that use it are amqpproto/client and
// amqpproto/broker; amqpproto/endpoint has what these two share.
//
// Received octets pass the package in this order:
//
//	CutFrame            one frame out of a buffer
//	Frame.Method        its method id and arguments; SplitMethod without the channel's rules
//	BasicDeliver.…      DecodeArgs of the method's struct
//	Assembler           the content that follows: ContentHeader, then bodies
//	Properties.Decode   on demand
//	RawTable.Each …     on demand
//
// Ownership: decoding returns views. Every []byte, RawTable and Field is valid only as
// long as the buffer that it was cut from. It has no spare capacity, so that an append
// to it copies. Encoders are AppendX(dst, …) and keep nothing.
//
// An error of the peer is a *ConnectionError or *ChannelError with the reply code that
// the specification names. An error of the caller, for a value that cannot be encoded,
// is an *EncodeError, and dst is returned unchanged.
//
// Where the specification leaves a choice, the package does what RabbitMQ does, because
// every client in use was tested with RabbitMQ:
//
//   - Octets after a method's last argument are a frame error, and so are too few.
//     RabbitMQ refuses both with 501, so no working client sends them.
//   - Unused bits of a bit octet are ignored.
//   - Tables use RabbitMQ's field types, not those of the 0-9-1 grammar: s is a
//     short integer and not a short string, l and L are both signed.
//   - Strings are octets. The caller must check for UTF-8 if it needs that.
//
//go:generate go run ./gen
package amqpproto
