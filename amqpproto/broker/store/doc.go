// Package store keeps the durable things of a broker on disk: exchanges, queues,
// bindings, and the persistent messages of durable queues.
//
// Everything durable is in the broker's memory as well. The store appends a record
// of each change to a journal ([zamqp/amqpproto/journal]), and reads the journal
// only when it is opened. A change is on disk when Synced has reached the last
// record of that change.
//
// The store knows names, numbers and octets, but no exchange or queue of the
// broker. It asks the broker through [Owner] when it has to write something again,
// and gives back what it has read through [Restorer].
package store
