package broker

import "time"

// Server is one broker.
type Server struct {
	opts   Options
	host   Host
	vhosts map[string]*vhost
	serverEngine
	serverStore
}

// Options describe a broker.
type Options struct {
	Allocate func(n int) []byte
	Free     func([]byte)
	Seed     uint64
}

// Host is what the broker asks of its surroundings.
type Host interface {
	WakeAt(t time.Time)
}

// Conn is a client's connection.
type Conn struct{}

// channel is a channel of a connection.
type channel struct{}

func (ch *channel) ready(c *consumer) bool       { return false }
func (ch *channel) deliver(c *consumer, e entry) {}
func (ch *channel) cancelled(c *consumer)        {}

func (s *Server) now() int64 { return 0 }
