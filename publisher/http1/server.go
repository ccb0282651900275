package http1

import "time"

// Wire is what a Conn needs of its transport.
type Wire interface {
	Wake()             // gives the kept input again, calls Tick, and sends what is Pending
	Close()            // sends what is Pending, then closes in an orderly way
	Abort(cause error) // closes without sending
}

// Handler gets what a connection has read. All slices are valid only until the method
// returns. The methods may call those of their Conn. No method is called while another one
// runs.
type Handler interface {
	// Head announces a request. The result 0 means to continue. Any other status is the
	// answer, and then the connection is closed, because the body is not read. Answering
	// inside Head is allowed as well: then nothing more of this request follows.
	Head(h *Head) (status int)
	// Body gets the next piece of the decoded body, which is never empty.
	Body(p []byte)
	// Room is how many octets of a body the Handler takes now. It is asked only after
	// Conn.Stream; after 0, Conn.More says that there is room again.
	Room() int
	// BodyMax is the bound of the body, if Config.OwnMax allows a bound that is not
	// Config.BodyMax.
	BodyMax() int64
	// Trailer is the next field behind a body in chunks.
	Trailer(f *Field)
	// End says that the request is complete. The Handler must answer it exactly once,
	// now or later.
	End()
	// Gone is called exactly once: no more requests come, and the current one, if any, cannot
	// be answered any more. A nil cause is an orderly end.
	Gone(cause error)
}

// A Refuser is a Handler that can word the refusals of the machine itself.
type Refuser interface {
	Handler
	// Refusal returns the body of a refusal and its type; nil is a line of text. fields are
	// those of the head, if it has not been announced and was well-formed.
	Refusal(e *Error, fields []Field) (contentType string, body []byte)
}

// Server is what the connections of one listener share. It belongs to one
// loop's thread, like everything in it.
type Server struct {
	cfg   Config
	last  bool // every answer is the last one of its connection
	stats Stats

	head Head // scratch: the head that is being read; valid only inside parseHead and Handler.Head

	// The time, as far as it is known: that of the last Tick of any connection.
	base time.Time // first Tick; deadlines are nanoseconds since then
	unix int64     // second that date shows
	date [dateLen]byte

	lines [1000][]byte // by status: status line, Server, and "Date: ", made at first use
	types typeCache

	transport []byte // the line of Strict-Transport-Security; empty = none

	free      [][]byte // output buffers, empty
	freeBytes int      // sum of their capacities
}

// Stats counts since the Server was made, except for Open.
type Stats struct {
	Open     int    // connections that are not Lost
	Requests uint64 // heads announced to a Handler
	Refused  uint64 // requests that the machine itself answered with an error
}

// Output buffers. The Server keeps the free ones for all connections; idle connections
// have none. Above these limits a buffer is left to the garbage collector.
const (
	bufferMin  = 4 << 10  // capacity of a new buffer, or a multiple
	bufferMax  = 64 << 10 // largest buffer that is kept
	freeMax    = 4 << 20  // octets kept in total
	firstFrees = 64       // room for that many without growing the list
)

// NewServer returns a Server for connections with these limits. A ServerName
// that Config.Validate refuses is left out of the answers.
func NewServer(cfg Config) *Server {
	if !validValue(cfg.ServerName) {
		cfg.ServerName = ""
	}
	if !validValue(cfg.StrictTransport) {
		cfg.StrictTransport = ""
	}
	s := &Server{cfg: cfg.withDefaults(), free: make([][]byte, 0, firstFrees)}
	s.head.Fields = make([]Field, 0, s.cfg.FieldsMax)
	s.setDate(time.Unix(0, 0))
	if value := s.cfg.StrictTransport; value != "" {
		s.transport = append(append(append(s.transport, "Strict-Transport-Security: "...), value...), "\r\n"...)
	}
	return s
}

// BodyMax returns the limit for a decoded body, in octets.
func (s *Server) BodyMax() int64 { return s.cfg.BodyMax }

// Stats returns the counters.
func (s *Server) Stats() Stats { return s.stats }

// NewConn returns the machine for a fresh connection. The wire must Tick it
// before the first Feed.
func (s *Server) NewConn(w Wire, h Handler) *Conn {
	s.stats.Open++
	return &Conn{srv: s, wire: w, handler: h, flags: flagFresh}
}

// Secure says that the connection has TLS.
func (c *Conn) Secure() { c.flags |= flagSecure }

// clock sets the time and returns it as nanoseconds since the first call.
func (s *Server) clock(now time.Time) int64 {
	if s.base.IsZero() {
		s.base = now
	}
	if now.Unix() != s.unix {
		s.setDate(now)
	}
	return int64(now.Sub(s.base))
}

func (s *Server) setDate(now time.Time) {
	s.unix = now.Unix()
	now.UTC().AppendFormat(s.date[:0], "Mon, 02 Jan 2006 15:04:05 GMT")
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
	// Whole multiples, so that an answer a little longer than the last one fits into the same
	// buffer.
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
