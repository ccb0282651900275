// Package amqpdoor makes calls of the publisher from the messages that the AMQP
// client delivers, and settles each message by the outcome of its call: an ack, a
// delayed retry or a dead letter. It also orders messages before their calls, moves
// messages that end processes to quarantine, and has the spool of publishes.
package amqpdoor
