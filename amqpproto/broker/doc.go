// Package broker is an AMQP 0-9-1 broker without a socket: it is the peer of
// amqpproto/client. It behaves as RabbitMQ 3.10 does.
//
// The broker is a machine: it has no goroutine, mutex, clock or file descriptor, and runs on
// one thread. Time, and work that has to be done elsewhere, come through [Host].
//
// A client can make many things large. Work on all items of something large is done in
// slices, one slice a turn: see slicing.
//
// The files conn and channel hold what a client may do; exchange and queue hold
// what happens to its messages. A type of exchange is one file and a row of
// exchangeTypes; a type of queue is one file and a row of queueTypes.
//
// A message is in memory once, however many queues hold it: package arena has its octets, and
// slabs have the rest. Package backlog has the order of the messages of a queue, and package
// topic the patterns of topic exchanges. Package store keeps everything that outlives the
// process: durable.go tells the store what has changed, and storehost.go answers the
// questions of the store.
package broker
