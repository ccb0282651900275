package client

import (
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// Config describes a connection. Zero fields get the default named beside them,
// except where zero has a meaning of its own.
type Config struct {
	Name string // of the connection in errors and events; "default"

	Vhost    string // "/"
	Username string // "guest"; not used by EXTERNAL
	Password string // never shown in an error

	// Mechanism of authentication: PLAIN (the default), AMQPLAIN, or EXTERNAL. With
	// EXTERNAL the broker takes the user's name from the TLS certificate.
	Mechanism string

	ConnectionName string     // shown by the broker's management; Name
	Properties     amqp.Table // more client properties; they replace ours, except capabilities

	// Heartbeat is the interval to propose, in whole seconds, rounded up. Zero
	// means none in either direction, so it has no default; 60 s is usual.
	Heartbeat time.Duration

	FrameMax   uint32 // largest frame, octets with its overhead; 131072, at least 4096
	ChannelMax uint16 // highest channel number; 2047
	BodyMax    uint64 // largest body that is accepted, octets; 128 MiB

	// PublishMax bounds all publishes together that wait or are not confirmed, in octets
	// of content and names plus 256 for each; 64 MiB.
	PublishMax int

	// AckDelay is how long acks may wait, so that several are sent together. They are
	// sent earlier when they are a quarter of the consumer's prefetch, or when anything
	// else is sent. This saves the broker most of its work on acks, and both sides
	// system calls. Zero means that acks do not wait.
	AckDelay time.Duration

	ConfirmTimeout   time.Duration // from Publish to its outcome; 30 s
	HandshakeTimeout time.Duration // for the handshake, and for the answer of any synchronous method; 30 s

	// ProbeTimeout is how long a dial, and then the broker's greeting, may take at first:
	// see DialTimeout. 3 s, and never more than HandshakeTimeout.
	ProbeTimeout time.Duration

	BackoffMin time.Duration // pause between tries while the broker is unavailable, and ceiling of the first delay; 1 s
	BackoffMax time.Duration // ceiling of all delays; 60 s
	Seed       uint64        // of the jitter; give each process another one

	// NoConfirms publishes without confirm.select: a publish is Confirmed(nil) when its
	// octets have been sent, even if the broker then fails to handle it.
	NoConfirms bool

	// KeepIDs adds no message id to a publish without one, although a receiver then
	// cannot recognize a second copy. It is for tools that move the messages of others.
	KeepIDs bool

	// TxSelect publishes in transactions of class tx instead of with confirms: all
	// publishes of one turn are sent with one tx.commit, and the outcome of the commit is
	// theirs. Limits: one commit is in flight at a time, it is a round trip, and nothing
	// is published meanwhile. RabbitMQ does not promise that a transaction is whole if it
	// dies during the commit. Acks of deliveries are on other channels and not part of
	// the transaction. If the broker refuses one publish with a channel error, for
	// example because its exchange does not exist, the whole transaction fails, and
	// nothing of it reaches a queue.
	TxSelect bool

	// ReplyQueue makes replies come to an exclusive queue of our own, named by the
	// broker, and not by direct reply-to (amq.rabbitmq.reply-to).
	ReplyQueue bool
	// RequestsMax bounds the requests under way; 65536.
	RequestsMax int
}

// DefaultConfig returns a Config with all defaults.
func DefaultConfig() Config { return Config{}.withDefaults() }

// withDefaults fills the zero fields.
func (cfg Config) withDefaults() Config {
	orString := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	orDuration := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	orString(&cfg.Name, "default")
	orString(&cfg.Vhost, "/")
	orString(&cfg.Mechanism, mechanismPlain)
	if cfg.Username == "" && cfg.Password == "" && cfg.Mechanism != mechanismExternal {
		cfg.Username, cfg.Password = "guest", "guest"
	}
	orString(&cfg.ConnectionName, cfg.Name)
	orDuration(&cfg.ConfirmTimeout, 30*time.Second)
	orDuration(&cfg.HandshakeTimeout, 30*time.Second)
	orDuration(&cfg.ProbeTimeout, 3*time.Second)
	orDuration(&cfg.BackoffMin, time.Second)
	orDuration(&cfg.BackoffMax, time.Minute)
	if cfg.BackoffMax < cfg.BackoffMin {
		cfg.BackoffMax = cfg.BackoffMin
	}
	if cfg.FrameMax == 0 {
		cfg.FrameMax = amqpproto.FrameMaxDefault
	}
	cfg.FrameMax = max(cfg.FrameMax, amqpproto.FrameMin)
	if cfg.ChannelMax == 0 {
		cfg.ChannelMax = amqpproto.ChannelMaxDefault
	}
	if cfg.BodyMax == 0 {
		cfg.BodyMax = amqpproto.BodyMaxDefault
	}
	if cfg.PublishMax <= 0 {
		cfg.PublishMax = 64 << 20
	}
	cfg.NoConfirms = cfg.NoConfirms && !cfg.TxSelect
	if cfg.RequestsMax <= 0 {
		cfg.RequestsMax = 65536
	}
	return cfg
}
