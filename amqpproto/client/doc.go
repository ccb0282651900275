// Package client is an AMQP 0-9-1 client as a machine: it speaks to a broker, and
// has no socket, no clock and no goroutine.
//
// A [Client] is one connection that lives until it is closed, over as many sockets
// as that takes: what it consumes, what it declares, what it publishes. A [Conn]
// is one attempt at it, bound to one socket; when the socket is lost the Client
// asks its [Host] to dial again and replays everything on the next Conn. Whoever
// owns the sockets moves bytes between them and the Conn, which has the five
// methods of the loop's Peer, and tells it the time through Tick, after each turn
// in which the Conn was fed or woken and when the time that Tick returned has
// come.
//
// Small machines, one file each, stand inside:
//
//	handshake.go        the connection: from the protocol header to open, and close
//	channel.go          a channel: open, one synchronous method in flight, close
//	content.go          a content that comes in pieces; see amqpproto/endpoint
//	topology.go         what to declare, one step after the other
//	registration.go     the life of whatever owns a channel and a topology, with its backoff
//	consumer.go         consume, deliver, cancel
//	settlement.go       delivery tags and what became of them; acks that coalesce
//	acknowledger.go     acks, rejects and nacks of one channel
//	pause.go            stop and go on; stream.go: where in a stream
//	leave.go            stop a consumer that is the only one of its queue
//	getchannel.go       basic.get, a channel for each queue
//	adminchannel.go     length of a queue, purge, delete, declare: a channel that may die
//	request.go          requests and their ids; requestchannel.go: the channel that they and their replies take
//	copiedrequest.go    requests that may be sent again; endedrequests.go: which of them end with their channel
//	publishchannel.go   the channel that all publishes share
//	tx.go               its transactions, where they are asked for
//	confirms.go         what was published and not yet confirmed
//	waiting.go          publishes that cannot leave yet
//	replay.go           the order in which things come back after a connect
//	backoff.go          how long to wait before trying again; absence.go: a broker that is away
//	remedy.go           what a refused declaration is about, and what to do
//
// All callbacks ([Sink], [Confirm], [Reply], [Host], the done functions) run inside Feed,
// Tick, Lost or the method that the caller has just called; they may call any
// method of the package. Nothing in it is safe for use by several goroutines.
package client
