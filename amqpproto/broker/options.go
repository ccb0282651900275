package broker

import (
	"fmt"
	"regexp"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/journal"
)

// Options describe a broker. Zero fields get the default named beside them.
type Options struct {
	// Users by name. None means guest/guest, from loopback only.
	Users map[string]User
	// Vhosts are the names of the virtual hosts; "/".
	Vhosts []string

	FrameMax   uint32        // largest frame, octets with its overhead; 131072, at least 4096
	ChannelMax uint16        // highest channel number; 2047
	Heartbeat  time.Duration // proposed to clients, in whole seconds; 60 s. Negative: none
	BodyMax    uint64        // largest message body, octets; 128 MiB, RabbitMQ's max_message_size

	// MemoryMax is how many octets messages and their bookkeeping may take; above
	// it publishers are not read any more until it is an eighth lower, and for a
	// second at least. 1 GiB.
	MemoryMax int64
	// OutputMax is how many octets may wait unsent on one connection before its
	// consumers get no more deliveries; 1 MiB.
	OutputMax int

	QueuesMax    int // in one vhost; 100,000
	ExchangesMax int // in one vhost; 100,000
	BindingsMax  int // in one vhost; 1,000,000
	ConsumersMax int // of all connections; 100,000
	LeavingMax   int // connections that are over and whose clients have not closed their sockets; 256. More, and the oldest is closed from here.
	MessagesMax  int // ready in all queues, above which publishers are stopped as over MemoryMax; 0 = no limit

	HandshakeTimeout time.Duration // from the socket to connection.open-ok; 10 s

	Product string // in server-properties; "zamqp"
	Version string // in server-properties; "devel"
	Node    string // in the headers of the firehose; "zamqp@localhost"

	// Allocate and Free are where message memory comes from, in pieces of 1 MiB
	// and more. nil = make. Memory from outside of Go's heap is not seen by the
	// garbage collector, nor doubled by it.
	Allocate func(n int) []byte
	Free     func([]byte)
	// Discard takes back the pages of a part of what Allocate returned, which is not
	// used any more. Large pieces are discarded in parts before they are freed, since
	// that takes long; nil = they are freed at once.
	Discard func([]byte)

	// DataDir is where durable exchanges and queues, and the persistent messages
	// in them, outlive the process; it is made if it is not there. One process
	// may use it at a time. "" = nothing outlives the process.
	DataDir string
	// Files is the file system of DataDir; nil = the operating system's.
	Files journal.FS
	// SegmentSize of the store's files; 0 = journal.SegmentSizeDefault.
	SegmentSize int64

	// Clock is a clock that goes on within a turn, in nanoseconds since any time;
	// work that goes on for many turns uses it to leave a turn after a
	// millisecond. nil: only the work done is counted.
	Clock func() int64
	// Reserve is the size of a file that keeps room for acks and the like when the
	// disk is full, octets; publishers are slowed down so that what waits to be
	// written fits it. 0 = none.
	Reserve int64
	// LookAtDisk asks whoever calls Server.DiskRoom to do so soon. May be nil.
	LookAtDisk func()

	// Seed of the generated names; give each process another one.
	Seed uint64
}

// User is one who may log in.
type User struct {
	// Hash of the password, bcrypt. "" means that the password is the user's name,
	// and then the login is good from loopback only: guest/guest.
	Hash string
	// Tags are RabbitMQ's. "impersonator" may publish with another user_id.
	Tags []string
	// Vhosts that the user may open, and what the user may do there. nil means
	// all there are, with full permissions.
	Vhosts map[string]Permissions
}

// Permissions are RabbitMQ's three regular expressions on the names of exchanges
// and queues; "" matches no name, ".*" all. They are not anchored.
type Permissions struct{ Configure, Write, Read string }

// DefaultOptions are what Options without any field come to.
func DefaultOptions() Options { return Options{}.withDefaults() }

// withDefaults fills the zero fields.
func (o Options) withDefaults() Options {
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if len(o.Users) == 0 {
		o.Users = map[string]User{"guest": {Tags: []string{"administrator"}}}
	}
	if len(o.Vhosts) == 0 {
		o.Vhosts = []string{"/"}
	}
	if o.FrameMax == 0 {
		o.FrameMax = amqpproto.FrameMaxDefault
	}
	o.FrameMax = max(o.FrameMax, amqpproto.FrameMin)
	if o.ChannelMax == 0 {
		o.ChannelMax = amqpproto.ChannelMaxDefault
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = time.Minute
	}
	if o.BodyMax == 0 {
		o.BodyMax = amqpproto.BodyMaxDefault
	}
	if o.MemoryMax <= 0 {
		o.MemoryMax = 1 << 30
	}
	orInt(&o.OutputMax, 1<<20)
	orInt(&o.QueuesMax, 100_000)
	orInt(&o.ExchangesMax, 100_000)
	orInt(&o.BindingsMax, 1_000_000)
	orInt(&o.ConsumersMax, 100_000)
	orInt(&o.LeavingMax, 256)
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = 10 * time.Second
	}
	if o.Product == "" {
		o.Product = "zamqp"
	}
	if o.Version == "" {
		o.Version = "devel"
	}
	if o.Node == "" {
		o.Node = "zamqp@localhost"
	}
	if o.Allocate == nil {
		o.Allocate = func(n int) []byte { return make([]byte, n) }
	}
	if o.Free == nil {
		o.Free = func([]byte) {}
	}
	return o
}

// access is a user's compiled permissions on one vhost.
type access struct{ configure, write, read *regexp.Regexp }

// account is a User made ready.
type account struct {
	name        string
	hash        string
	tags        []string
	vhosts      map[string]*access // nil = all, with full permissions
	impersonate bool               // may publish with any user_id
}

// newAccount compiles a user. The error names the expression.
func newAccount(name string, u User) (*account, error) {
	a := &account{name: name, hash: u.Hash, tags: u.Tags}
	for _, tag := range u.Tags {
		a.impersonate = a.impersonate || tag == "impersonator"
	}
	if u.Vhosts == nil {
		return a, nil
	}
	a.vhosts = make(map[string]*access, len(u.Vhosts))
	for vhost, p := range u.Vhosts {
		ac := &access{}
		for _, x := range []struct {
			what string
			expr string
			dst  **regexp.Regexp
		}{{"configure", p.Configure, &ac.configure}, {"write", p.Write, &ac.write}, {"read", p.Read, &ac.read}} {
			if x.expr == "" {
				x.expr = "^$" // as RabbitMQ has it
			}
			re, err := regexp.Compile(x.expr)
			if err != nil {
				return nil, fmt.Errorf("broker user %q: vhost %q: %s: %w", name, vhost, x.what, err)
			}
			*x.dst = re
		}
		a.vhosts[vhost] = ac
	}
	return a, nil
}
