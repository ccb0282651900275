package amqpproto

import "math"

// Limits of the wire and of this package.
const (
	// FrameMin is the frame_max that every peer must accept, and the limit
	// before connection.tune. AMQP 0-9-1 §4.2.3, frame-min-size.
	FrameMin = 4096
	// FrameOverhead is what a frame adds to its payload: type, channel, size, end.
	FrameOverhead = 8
	// ShortstrMax is the most octets of a short string, table keys included. §4.2.5.3.
	ShortstrMax = 255
	// TableDepthMax is how deep tables and arrays may be nested. No real message comes near
	// it. Without it a frame of nested headers would overflow the stack.
	TableDepthMax = 32
	// BodyMaxDefault is the Assembler's limit when none is set: RabbitMQ's own
	// default for max_message_size, 128 MiB.
	BodyMaxDefault = 128 << 20
	// FrameMaxDefault is what either role proposes as frame_max: RabbitMQ's own default.
	FrameMaxDefault = 128 << 10
	// ChannelMaxDefault is what either role proposes as channel_max: RabbitMQ's own
	// default.
	ChannelMaxDefault = 2047
	// LargeBody is the length in octets above which a body is large: it is handled in
	// pieces, so that no turn of a loop handles much more than this of it.
	LargeBody = 1 << 20
)

// longMax is the most octets of a long string or table.
const longMax = math.MaxUint32
