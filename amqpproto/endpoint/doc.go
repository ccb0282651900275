// Package endpoint is what both ends of an AMQP 0-9-1 connection do in the same
// way: amqpproto/client and amqpproto/broker are made of it. It has no socket and
// no clock: times are nanoseconds on its owner's clock, and 0 is never.
//
//	Heartbeat   when to send a heartbeat, and when the peer is dead
package endpoint
