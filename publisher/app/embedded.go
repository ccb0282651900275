package app

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/journal"
	"zamqp/loop"
	"zamqp/publisher"
	"zamqp/publisher/command"
	"zamqp/publisher/config"
)

// ownUser is the user of this process's own connections to the broker: the one that every
// RabbitMQ has by default. Its messages may have this user_id and no other, as with
// RabbitMQ.
const ownUser = "guest"

// processStart is the zero of the clock with which the broker measures its slices.
var processStart = time.Now()

// embedded is the broker of this process: its machine, and the machine's host. All of it
// is for the loop's thread.
type embedded struct {
	loop     *loop.Loop
	log      zerolog.Logger
	settings *config.Broker
	server   *broker.Server
	memory   *messageMemory
	closers  []func() // close the listeners
	secure   *tlsDoor // the listeners for TLS; nil without any
	tick     *loop.Timer
	due      time.Time // when tick runs; zero = it does not
	failed   error     // of the store
	trouble  error     // of the store, passing; nil = none
	disk     diskWatch
	closing  bool
	own      int // connections that this process makes
}

// brokerVersion is the version in the server-properties. Clients that expect a RabbitMQ
// read it as well: we report the release that we imitate.
func brokerVersion(product string) string {
	if product == "RabbitMQ" {
		return "3.10.8"
	}
	return command.Version()
}

// newEmbedded makes the broker and reads its data directory.
func newEmbedded(l *loop.Loop, s *config.Broker, log zerolog.Logger) (*embedded, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	e := &embedded{loop: l, log: log, settings: s, memory: &messageMemory{}}
	options := broker.Options{
		Users: brokerUsers(s.Users), Vhosts: s.Vhosts, FrameMax: uint32(s.FrameMax), ChannelMax: uint16(s.ChannelMax),
		Heartbeat: s.Heartbeat, BodyMax: uint64(s.BodyMax), MemoryMax: int64(s.MemoryMax), QueuesMax: s.QueuesMax,
		Product: s.Product, Version: brokerVersion(s.Product), Node: nodeName(), Seed: binary.LittleEndian.Uint64(random[:]),
		Allocate: e.memory.allocate, Free: e.memory.free, Discard: e.memory.discard, DataDir: s.DataDir, Reserve: diskReserve, LookAtDisk: e.watchDisk,
		Clock: func() int64 { return int64(time.Since(processStart)) },
	}
	if s.Heartbeat == 0 {
		options.Heartbeat = -1
	}
	began := time.Now()
	var err error
	e.server, err = broker.New(options, e)
	switch {
	case errors.Is(err, journal.ErrLocked):
		return nil, fmt.Errorf("broker.data_dir = %q: %w: stop that one, or keep this one's data elsewhere, as with -o broker.data_dir=%s-2",
			s.DataDir, err, strings.TrimRight(s.DataDir, "/"))
	case err != nil:
		return nil, fmt.Errorf("broker.data_dir = %q: %w", s.DataDir, err)
	}
	if s.DataDir != "" {
		stats := e.server.Stats()
		log.Info().Str("data_dir", s.DataDir).Int("queues", stats.Queues).Int("messages", stats.Messages).
			Dur("took", time.Since(began).Round(100*time.Microsecond)).Msg("broker: its data directory has been read")
	}
	// Appended records reach the disk, whatever ends the loop.
	l.OnEnd(func() {
		if err := e.server.CloseStore(); err != nil {
			log.Error().Err(err).Msg("broker: some of what its data directory kept may be lost")
		}
	})
	return e, nil
}

// nodeName is the broker's name in the firehose, in the form of RabbitMQ's.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return "zamqp@" + host
}

// brokerUsers converts the configured users. If there are none, the broker has guest.
func brokerUsers(configured map[string]*config.BrokerUser) map[string]broker.User {
	users := map[string]broker.User{}
	for name, u := range configured {
		user := broker.User{Hash: u.Hash, Tags: u.Tags}
		if len(u.Permissions) > 0 {
			user.Vhosts = map[string]broker.Permissions{}
		}
		for vhost, p := range u.Permissions {
			user.Vhosts[vhost] = broker.Permissions{Configure: p.Configure, Write: p.Write, Read: p.Read}
		}
		users[name] = user
	}
	return users
}

// listen opens broker.listen. If an address is in use, it is usually by another broker, which
// the user may want to use instead. connection is the connection whose url would name that
// broker; "" = none.
func (e *embedded) listen(connection string) error {
	e.watchDisk()
	for i, address := range e.settings.Listen {
		addr, err := e.listenAt(address)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return brokerTaken(address, connection, listening{"broker.listen", e.settings.Listen[:i]})
		case err != nil:
			return fmt.Errorf("broker.listen = %q: %w", address, err)
		}
		e.log.Info().Str("url", e.shownURL(addr)).Bool("durable", e.settings.DataDir != "").Msg("broker ready")
	}
	return nil
}

func brokerTaken(address, connection string, own listening) error {
	err := addressTaken("broker.listen", address, ", perhaps by another broker", own)
	if connection == "" || own.has(address) {
		return err
	}
	host, port, _ := net.SplitHostPort(address)
	return fmt.Errorf("%w, or use that one, as with -o connection.%s.url=amqp://guest:guest@%s/", err,
		connection, net.JoinHostPort(config.DialableHost(host), port))
}

// elsewhere returns the remedy for an address in use.
func elsewhere(key, address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "listen elsewhere" // on a unix socket
	}
	number, _ := strconv.Atoi(port) // checked by Load
	return "listen elsewhere, as with -o " + key + "=" + net.JoinHostPort(host, strconv.Itoa(number%65535+1))
}

// listenAt opens one listener, with TLS if there is a certificate.
func (e *embedded) listenAt(address string) (net.Addr, error) {
	if e.settings.TLSCert != "" {
		return e.listenTLS(address)
	}
	ln, err := e.loop.Listen("tcp", address, e.accept)
	if err != nil {
		return nil, err
	}
	e.closers = append(e.closers, ln.Close)
	return ln.Addr(), nil
}

// listenTLS opens a listener for AMQP over TLS.
func (e *embedded) listenTLS(address string) (net.Addr, error) {
	if e.secure == nil {
		d, err := newTLSDoor(e.loop, e.log, "broker", e.settings.Certificates(), func(c *loop.Conn, _ *tls.ConnectionState) loop.Peer { return e.accept(c) })
		if err != nil {
			return nil, fmt.Errorf("broker.tls_cert and broker.tls_key: %w", err)
		}
		e.secure = d
		e.closers = append(e.closers, d.close)
	}
	return e.secure.listen(address)
}

// dialable is the address to dial, on this machine, for a listener's address.
func dialable(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	return net.JoinHostPort(config.DialableHost(host), port)
}

// shownURL is the URL for clients. Only guest's password is in it.
func (e *embedded) shownURL(addr net.Addr) string {
	user := "USER:PASSWORD"
	if len(e.settings.Users) == 0 {
		user = "guest:guest"
	}
	scheme := "amqp"
	if e.settings.TLSCert != "" {
		scheme = "amqps"
	}
	return fmt.Sprintf("%s://%s@%s/", scheme, user, dialable(addr))
}

func (e *embedded) accept(c *loop.Conn) loop.Peer {
	if e.closing || !e.room() {
		return nil
	}
	return e.connect(c, c.RemoteAddr())
}

// room reports whether broker.connections_max allows one more connection. Connections that
// only wait for their clients to close the socket count, but one of them is closed to make
// room.
func (e *embedded) room() bool {
	most := e.settings.ConnectionsMax
	if most == 0 {
		return true
	}
	s := e.server.Stats()
	return s.Connections+s.Closing-e.own < most || e.server.HurryOne()
}

// connect makes the broker's end of a connection. It decides by itself when to stop
// reading.
func (e *embedded) connect(c *loop.Conn, remote net.Addr) loop.Peer {
	c.KeepReading()
	return e.server.Connect(c, remote)
}

// connectOwn is connect for a connection of this process.
func (e *embedded) connectOwn(c *loop.Conn) loop.Peer {
	c.KeepReading()
	return e.server.ConnectOwn(c, ownUser)
}

// Now is the time of this turn of the loop.
func (e *embedded) Now() time.Time { return e.loop.Now() }

// WakeAt makes the broker's next Tick come at t, if it does not come sooner.
func (e *embedded) WakeAt(t time.Time) {
	if t.IsZero() || !e.due.IsZero() && !t.Before(e.due) {
		return
	}
	e.due = t
	// A time that has passed means the next turn, so that long work continues.
	wait := t.Sub(e.loop.Now())
	if wait > 0 {
		wait = max(wait, time.Millisecond)
	}
	if e.tick == nil {
		e.tick = e.loop.After(wait, e.ticked)
	} else {
		e.tick.Reset(wait)
	}
}

func (e *embedded) ticked() {
	e.due = time.Time{}
	e.WakeAt(e.server.Tick(e.loop.Now()))
}

// Post runs fn later in this turn, or in the next.
func (e *embedded) Post(fn func()) { e.loop.Post(fn) }

// Offload runs fn on another goroutine, then done on the loop. It does not use the
// handlers' pool, because a confirm must not wait for their work.
func (e *embedded) Offload(fn, done func()) { e.loop.OffloadDisk(fn, done) }

// Note logs events of the broker.
func (e *embedded) Note(ev broker.Event) {
	level := zerolog.InfoLevel
	switch ev.Kind {
	case broker.ConnectionClosed:
		if ev.Err != nil {
			level = zerolog.WarnLevel
		}
	case broker.LoginRefused, broker.ChannelClosed, broker.MemoryBlocked, broker.StoreReported, broker.DiskBlocked:
		level = zerolog.WarnLevel
	case broker.StoreTroubled, broker.StoreRecovered:
		level, e.trouble = zerolog.WarnLevel, ev.Err
	case broker.StoreFailed:
		level = zerolog.ErrorLevel
		e.failed = ev.Err
	}
	entry := e.log.WithLevel(level)
	for _, field := range []struct{ name, value string }{
		{"remote", ev.Remote}, {"user", ev.User}, {"vhost", ev.Vhost}, {"name", ev.Name},
	} {
		if field.value != "" {
			entry = entry.Str(field.name, field.value)
		}
	}
	if ev.Octets > 0 {
		entry = entry.Int64("octets", ev.Octets)
	}
	if ev.Err != nil {
		entry = entry.Err(ev.Err)
	}
	entry.Msg("broker: " + ev.Kind.String())
}

// Report is the broker's line in /readyz. The server is not ready while publishers are
// blocked, except for memory: consumers are there to free that.
func (e *embedded) Report() []publisher.Status {
	s := publisher.Status{Kind: "broker", Name: "embedded", Ready: true, State: "up"}
	reason := e.server.Blocked()
	switch {
	case e.failed != nil:
		s.Ready, s.State, s.Detail = false, "store failed", e.failed.Error()+": see the log, put "+e.settings.DataDir+" in order and start again"
	case e.trouble != nil:
		s.Ready, s.State = false, "blocked"
		s.Detail = diskAdvice("publishers wait for the disk", e.settings.DataDir, e.trouble)
	case reason == "low on memory":
		s.State, s.Detail = "blocked", "publishers wait: over broker.memory_max"
	case reason != "":
		s.Ready, s.State, s.Detail = false, "blocked", "publishers wait: less than broker.disk_free_min is free: make room where "+e.settings.DataDir+" is"
	}
	return []publisher.Status{s}
}

// diskAdvice adds to a temporary error of a disk what to do about it.
func diskAdvice(what, dir string, err error) string {
	advice := "it is tried again, and goes on by itself"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		advice = "make room where " + dir + " is; it goes on by itself"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		advice = "raise the limit of open files (ulimit -n, LimitNOFILE) or close connections; it goes on by itself"
	case errors.Is(err, syscall.EROFS):
		advice = "mount the file system of " + dir + " for writing; it goes on by itself"
	}
	return what + ": " + err.Error() + ": " + advice
}

// stopGrace is how long clients may take to answer connection.close.
const stopGrace = time.Second

// stop closes the listeners, then the connections of all clients cleanly,
// then calls done.
func (e *embedded) stop(done func()) {
	e.closing = true
	for _, shut := range e.closers {
		shut()
	}
	e.server.Close("the server shuts down")
	end := e.loop.Now().Add(stopGrace)
	var wait func()
	wait = func() {
		if s := e.server.Stats(); s.Connections+s.Closing > 0 && e.loop.Now().Before(end) {
			e.loop.After(5*time.Millisecond, wait)
			return
		}
		done()
	}
	wait()
}
