package broker

import (
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// Host is what the broker asks of its surroundings. All of it happens on the
// thread that the Server lives on.
type Host interface {
	Now() time.Time          // the time of this turn
	WakeAt(t time.Time)      // call Server.Tick at t: an earlier deadline than the last Tick returned
	Post(fn func())          // run fn when this turn's input has been read
	Offload(fn, done func()) // run fn elsewhere, then done on this thread
	Note(Event)              // for the log
}

// Wire is what a Conn asks of its socket; the loop's connection satisfies it.
type Wire interface {
	Wake()             // there is something to send, or to be read again
	Close()            // close when all pending has left
	Abort(cause error) // close at once
}

// Server is a broker.
type Server struct {
	opts     Options
	host     Host
	accounts map[string]*account
	logins   loginCache
	vhosts   map[string]*vhost
	rng      *rand.ChaCha8
	stats    Stats

	properties []byte // server-properties, encoded

	conns   *Conn // the first of the list
	replies map[uint64]*channel // direct reply-to consumers, by token
	alarm   bool // over MemoryMax
	closing bool

	serverEngine
	serverStore
}

// New returns a broker with the exchanges that every virtual host has. The error
// names the option that is wrong.
func New(o Options, h Host) (*Server, error) {
	s := &Server{opts: o.withDefaults(), host: h, accounts: map[string]*account{}, vhosts: map[string]*vhost{},
		replies: map[uint64]*channel{}}
	for name, u := range s.opts.Users {
		a, err := newAccount(name, u)
		if err != nil {
			return nil, err
		}
		s.accounts[name] = a
	}
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(o.Seed >> (8 * i))
	}
	s.rng = rand.NewChaCha8(seed)
	for _, name := range s.opts.Vhosts {
		if s.vhosts[name] != nil {
			return nil, fmt.Errorf("broker: vhost %q is listed twice", name)
		}
		s.vhosts[name] = s.newVhost(name)
	}
	if err := s.openStore(); err != nil {
		return nil, err
	}
	return s, nil
}

// Connect returns the machine for an accepted socket. remote decides what comes
// from loopback; nil is loopback.
func (s *Server) Connect(w Wire, remote net.Addr) *Conn { return nil }

// Tick moves time on. It returns when it wants to be called next; zero = never.
func (s *Server) Tick(now time.Time) (next time.Time) { return time.Time{} }

// Stats returns the counters.
func (s *Server) Stats() Stats { return s.stats }

// Close sends connection.close 320 with the text to every client.
func (s *Server) Close(text string) {}

// now is the time of this turn in nanoseconds since 1970.
func (s *Server) now() int64 { return s.host.Now().UnixNano() }
