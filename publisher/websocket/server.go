package websocket

import "time"

// Wire is what a Conn needs of its transport.
type Wire interface {
	Wake()             // offer the kept input again, Tick, and send what is Pending
	Close()            // send what is Pending, then close in an orderly way
	Abort(cause error) // close without sending
	// Reserve adds octets to the memory that messages use; a negative number gives memory back.
	// It returns false if there is no room, and then adds nothing.
	Reserve(octets int) bool
}

// Handler gets what a connection reads. No method is called while another one runs.
type Handler interface {
	// Message says that Next has a message.
	Message()
	// Room says that there is room again, after Full has returned true.
	Room()
	// Closed is called once, when the connection ends, but not if Shut has ended it. From then on
	// nothing can be sent, and the messages that Next still returns are the last ones.
	Closed(err *CloseError)
}

// Server is what connections share. It belongs to one loop's thread.
type Server struct {
	stats Stats
	base  time.Time // first Tick; deadlines are nanoseconds since then

	free      [][]byte // buffers, empty
	freeBytes int      // sum of their capacities
}

// Stats counts since the Server was made, except for Open.
type Stats struct {
	Open       int    // connections that are not Lost
	Received   uint64 // whole messages
	Sent       uint64 // whole messages that were put into the output
	Silent     uint64 // peers given up because they did not answer a ping
	Slow       uint64 // peers given up because they did not take the output
	Violations uint64 // connections that were closed because of an error of the peer
}

// Buffers. Idle connections have none. Above these limits a buffer is left to the garbage
// collector.
const (
	bufferMin = 4 << 10  // capacity of a new buffer, or a multiple
	bufferMax = 64 << 10 // largest buffer that is kept
	freeMax   = 4 << 20  // octets kept in all
)

// NewServer returns a Server.
func NewServer() *Server { return &Server{} }

// Stats returns the counters.
func (s *Server) Stats() Stats { return s.stats }

// clock takes the time and returns it as nanoseconds since the first call.
func (s *Server) clock(now time.Time) int64 {
	if s.base.IsZero() {
		s.base = now.Add(-1) // so that no time is 0
	}
	return int64(now.Sub(s.base))
}

// buffer returns an empty buffer for at least n octets.
func (s *Server) buffer(n int) []byte {
	if last := len(s.free) - 1; last >= 0 && cap(s.free[last]) >= n {
		b := s.free[last]
		s.free[last] = nil
		s.free = s.free[:last]
		s.freeBytes -= cap(b)
		return b
	}
	return make([]byte, 0, (max(n, 1)+bufferMin-1)/bufferMin*bufferMin)
}

// release takes back a buffer that nothing refers to any more.
func (s *Server) release(b []byte) {
	if cap(b) == 0 || cap(b) > bufferMax || s.freeBytes+cap(b) > freeMax {
		return
	}
	poison(b)
	s.freeBytes += cap(b)
	s.free = append(s.free, b[:0])
}
