package broker

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker/store"
	"zamqp/amqpproto/endpoint"
)

// Host is what the broker needs from its surroundings. All calls are made on the thread of
// the Server.
type Host interface {
	Now() time.Time          // the time of this turn
	WakeAt(t time.Time)      // calls Server.Tick at t: an earlier deadline than the last Tick returned
	Post(fn func())          // runs fn when this turn's input has been read
	Offload(fn, done func()) // runs fn on another goroutine, then done on this thread
	Note(Event)              // for the log
}

// Wire is what a Conn needs from its socket; the loop's connection has these methods.
type Wire interface {
	Wake()             // there is something to send, or to read again
	Close()            // closes when everything pending was sent
	Abort(cause error) // closes at once
}

// Server is a broker.
type Server struct {
	opts       Options
	host       Host
	accounts   map[string]*account
	logins     loginCache
	vhosts     map[string]*vhost
	rng        *rand.ChaCha8
	stats      Stats
	properties []byte // server-properties, encoded

	conns      list[Conn]           // connections in use, in the order in which they came
	leaving    list[Conn]           // closed connections that wait for their clients to close the socket
	replies    map[string]*replyBox // channels with direct reply-to, by the name that they have
	syncing    []*channel           // channels that wait for the store
	answering  []*Conn              // connections that hold answers until the store has synced their changes
	heavy      bool                 // memory is over MemoryMax, or was and is not yet under the lower mark
	heavyUntil int64                // heavy does not end before this time
	alarm      bool                 // memory or disk is short: publishers wait
	ended      []*consumer          // consumers to be told that their queues have ended
	closing    bool
	closer     *closing
	removal    *removal // removal of the current method
	coming     coming
	unsent     int64 // octets that wait to be sent, above what every connection may keep

	// Scratch memory of the hot path: there is one thread, and one Feed at a time.
	pub          publishing
	routed       []*queue
	settled      []delivery
	replyScratch []byte
	rejoining    []*consumer
	left         uint64 // number of consumers that ever left a rotation
	tracer       tracer

	serverEngine
	store    *store.Store // nil without a data directory
	disk     diskRoom
	lent     []writing // lent bodies, in the order of their numbers
	storeIDs []uint32  // scratch
}

// New returns a broker with the exchanges that every virtual host has. The error
// names the option that is wrong.
func New(o Options, h Host) (*Server, error) {
	s := &Server{opts: o.withDefaults(), host: h, accounts: map[string]*account{}, vhosts: map[string]*vhost{},
		replies: map[string]*replyBox{}}
	for name, u := range s.opts.Users {
		a, err := newAccount(name, u)
		if err != nil {
			return nil, err
		}
		s.accounts[name] = a
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], o.Seed)
	s.rng = rand.NewChaCha8(seed)
	_, _ = s.rng.Read(s.logins.salt[:])
	var err error
	if s.properties, err = serverProperties(&s.opts); err != nil {
		return nil, err
	}
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

// Connect returns the machine for an accepted socket. remote reports whether the client
// is on loopback; nil, and an address that is no IP address, count as loopback.
func (s *Server) Connect(w Wire, remote net.Addr) *Conn {
	c := &Conn{server: s, wire: w, frameMax: amqpproto.FrameMin, loopback: true}
	if remote != nil {
		c.remote = remote.String()
		if host, _, err := net.SplitHostPort(c.remote); err == nil {
			if ip, err := netip.ParseAddr(host); err == nil {
				c.loopback = ip.Unmap().IsLoopback()
			}
		}
	}
	c.limit = s.now() + int64(s.opts.HandshakeTimeout)
	s.conns.push(&c.place, c)
	return c
}

// ConnectOwn is Connect for a connection of the broker's own process. It has the user's name
// and all permissions, whatever login it sends.
func (s *Server) ConnectOwn(w Wire, user string) *Conn {
	c := s.Connect(w, nil)
	c.user = &account{name: user}
	return c
}

// Tick moves the time forward. It returns when it must be called next; zero = never.
func (s *Server) Tick(now time.Time) (next time.Time) {
	at := s.tickEngine(now.UnixNano())
	endpoint.Sooner(&at, s.store.Tick(now.UnixNano()))
	s.tellEnded()
	s.checkMemory()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	st := s.stats
	st.Memory, st.Blocked = s.memoryUsed(), s.Blocked() != ""
	st.DiskLow = s.disk.low
	st.Messages, st.Unacked = s.messages, s.unacked
	st.Connections, st.Closing = s.conns.n, s.leaving.n
	for _, v := range s.vhosts {
		st.Bindings += v.bindings
	}
	return st
}

// Close sends connection.close 320 with the text to every client, and refuses new ones. Stats
// says how many are left. The caller ends the connections of clients that do not answer.
func (s *Server) Close(text string) {
	s.closing = true
	for c := s.leaving.head(); c != nil; {
		next := c.place.after()
		if c.state == awaitEOF { // it has got its close-ok, and there is no time left to wait
			c.over()
		}
		c = next
	}
	e := &closing{text: text, next: s.conns.head()}
	s.closer = e
	if !e.step(s) {
		s.later(e)
	}
}

// now returns the time of this turn in nanoseconds since 1970.
func (s *Server) now() int64 { return s.host.Now().UnixNano() }
