package broker

// serverEngine is the part of a Server that holds messages and queues. Its zero
// value is ready.
type serverEngine struct {
	memory int64 // octets: live messages and what the queues keep about them
	wake   int64 // what the last tickEngine returned
}

// newVhost makes a virtual host with the predeclared exchanges; the caller puts
// it into s.vhosts.
func (s *Server) newVhost(name string) *vhost { return nil }

// tickEngine lets messages and queues expire, and returns when it wants to be
// called again, in nanoseconds since 1970; 0 = nothing is due ever. Earlier
// deadlines that come up later go to Host.WakeAt.
func (s *Server) tickEngine(now int64) (next int64) { return 0 }

// memoryUsed is the octets of messages and of what queues keep about them.
func (s *Server) memoryUsed() int64 { return s.memory }
