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

	// MemoryMax is how many octets messages and their bookkeeping may use. Above it the
	// broker stops reading from publishers, for at least a second, until an eighth is free
	// again. 1 GiB.
	MemoryMax int64
	// OutputMax is how many octets may wait unsent on one connection before its
	// consumers get no more deliveries; 1 MiB.
	OutputMax int

	QueuesMax    int // in one vhost; 100,000
	ExchangesMax int // in one vhost; 100,000
	BindingsMax  int // in one vhost; 1,000,000
	ConsumersMax int // of all connections; 100,000
	LeavingMax   int // closed connections whose clients have not closed their sockets; 256. If there are more, the broker closes the oldest.
	MessagesMax  int // ready messages in all queues, above which publishers are stopped as above MemoryMax; 0 = no limit

	HandshakeTimeout time.Duration // from the socket to connection.open-ok; 10 s

	Product string // in server-properties; "zamqp"
	Version string // in server-properties; "devel"
	Node    string // in the headers of the firehose; "zamqp@localhost"

	// Allocate and Free manage message memory, in pieces of 1 MiB and more. nil = make.
	// The garbage collector does not scan memory outside of Go's heap, and its pacing does
	// not double it.
	Allocate func(n int) []byte
	Free     func([]byte)
	// Discard returns the pages of an unused part of an allocated piece to the system.
	// Large pieces are discarded in parts before they are freed, because freeing them at
	// once takes long. nil = they are freed at once.
	Discard func([]byte)

	// DataDir is the directory that stores durable exchanges and queues and their
	// persistent messages. It is created if it does not exist. Only one process may use it
	// at a time. "" = nothing outlives the process.
	DataDir string
	// Files is the file system of DataDir; nil = the operating system's.
	Files journal.FS
	// SegmentSize of the store's files; 0 = journal.SegmentSizeDefault.
	SegmentSize int64

	// Clock is a clock that advances within a turn, in nanoseconds since any time. Long
	// work uses it to end its part of a turn after a millisecond. nil: only the amount of
	// work is counted.
	Clock func() int64
	// Reserve is the size, in octets, of a file that keeps room for acks and similar
	// records when the disk is full. Publishers are slowed down, so that the records that
	// wait to be written fit into it. 0 = none.
	Reserve int64
	// LookAtDisk asks the owner to call Server.DiskRoom soon. May be nil.
	LookAtDisk func()

	// Seed of the generated names; give each process another one.
	Seed uint64
}

// User is a user who may log in.
type User struct {
	// Hash of the password, bcrypt. "" means that the password is the user's name, and then
	// the login is allowed from loopback only, as for guest/guest.
	Hash string
	// Tags are those of RabbitMQ. "impersonator" may publish with another user's user_id.
	Tags []string
	// Vhosts that the user may open, with the permissions there. nil means all vhosts, with
	// full permissions.
	Vhosts map[string]Permissions
}

// Permissions are RabbitMQ's three regular expressions on the names of exchanges
// and queues; "" matches no name, ".*" all. They are not anchored.
type Permissions struct{ Configure, Write, Read string }

// DefaultOptions returns Options with all defaults.
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

// account is a User with compiled permissions.
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
				x.expr = "^$" // as in RabbitMQ
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
