// Package amqpdoor turns what the AMQP client machine delivers into calls of
// the publisher, and their outcomes back into acks, delayed requeues and
// rejects. It is the mirror image of httpdoor.
package amqpdoor
