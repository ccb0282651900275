// Package dial connects a client machine of amqpproto/client to its broker: it picks
// the node, dials, and shakes hands for TLS. The server and the commands that talk to
// a broker share it.
package dial
