// Package endpoint has what both ends of an AMQP 0-9-1 connection do in the same way;
// amqpproto/client and amqpproto/broker use it. It has no socket and no clock: times are
// nanoseconds on its owner's clock, and 0 means never.
//
//	Assembly    the method, header and bodies of a content that arrives in pieces
//	Heartbeat   when to send a heartbeat, and when the peer is dead
//	Output      the buffer for everything that a turn sends; large bodies are lent to it
//	Sequence    what has a number on a channel: confirms, delivery tags
package endpoint
