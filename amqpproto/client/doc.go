// Package client is an AMQP 0-9-1 client as a state machine: it speaks the protocol
// with a broker, but has no socket, no clock and no goroutine.
//
// A [Client] is one logical connection with its consumers, producers and publishes. It
// lives until it is closed, over any number of sockets. A [Conn] is bound to one
// socket. When the socket is lost, the Client asks its [Host] to dial again, and
// declares everything again on the next Conn. The owner of the sockets moves bytes
// between a socket and its Conn, which has the five methods of the loop's Peer. It also
// calls Tick with the time, after each turn in which the Conn was fed or woken, and at
// the time that Tick returned last.
//
// The files:
//
//	handshake.go        the connection: from the protocol header to open, and close
//	channel.go          a channel: open, one synchronous method in flight, close
//	content.go          a content that arrives in several pieces; see amqpproto/endpoint
//	topology.go         what to declare, one step after the other
//	registration.go     what consumers and producers share: channel, topology, backoff
//	consumer.go         consume, deliver, cancel
//	settlement.go       delivery tags and their states; acks that are sent together
//	acknowledger.go     acks, rejects and nacks of one channel
//	pause.go            pause and resume; stream.go: the position in a stream
//	leave.go            stop a consumer that is the only one of its queue
//	getchannel.go       basic.get, a channel for each queue
//	adminchannel.go     length of a queue, purge, delete, declare: a channel that errors may close
//	request.go          requests and their ids; requestchannel.go: the channel for them and their replies
//	copiedrequest.go    requests that may be resent; endedrequests.go: which of them end with their channel
//	publishchannel.go   the channel that publishes share; lane.go: which channel a publish takes
//	channelerror.go     which publish a channel error is about; resend.go: the others, sent again
//	renewal.go          replaces a publish channel that the broker no longer serves
//	tx.go               transactions instead of confirms, if configured
//	confirms.go         what was published and not yet confirmed
//	waiting.go          publishes that cannot be sent yet
//	replay.go           the order of declarations after a connect
//	backoff.go          how long to wait before a retry; absence.go: a broker that is unavailable
//	remedy.go           what a refused declaration is about, and what to do
//
// All callbacks ([Sink], [Confirm], [Reply], [Host], the done functions) run inside
// Feed, Tick, Lost or the method that the caller has just called. They may call any
// method of the package. Nothing here is safe for use by several goroutines.
package client
