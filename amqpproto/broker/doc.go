// Package broker is an AMQP 0-9-1 broker without a socket: the other end of
// the frames that amqpproto/client speaks. It behaves as RabbitMQ 3.10 does.
//
// It is a machine. It has no goroutine, mutex, clock or file descriptor, and is
// used on one thread; time, and work that has to be done elsewhere, come
// through [Host].
//
// A client can make many things large. Whatever goes through all of something
// works in slices, a slice a turn: see slicing.
//
// What a client may do is in conn and channel, what happens to its messages in
// exchange and queue. A type of exchange is a file and a row of exchangeTypes, a type
// of queue a file and a row of queueTypes.
//
// A message is in memory once, however many queues hold it: package arena has its
// octets, slabs the rest. The order of the messages of a queue is in package backlog,
// the patterns of topic exchanges are in package topic. What outlives the process is
// in package store: durable.go is what the broker tells its store, storehost.go what
// the store asks of the broker.
package broker
