package config

import (
	"net"
	"strconv"
	"time"

	"zamqp/amqpproto/client"
	"zamqp/publisher/spool"

	"github.com/streadway/amqp"
)

// Connection is one [connection.NAME]: a broker, or the nodes of a cluster, and
// how to talk to it.
type Connection struct {
	URL []string `key:"url" secret:"url"`
	// URI is the first URL in its parts, with the password. User, password and virtual
	// host are the same in all of them.
	URI amqp.URI `key:"-"`
	// Nodes are the addresses to dial, in the order of URL.
	Nodes          []Node     `key:"-"`
	Order          string     `key:"order" oneof:"shuffled listed"`
	PasswordFile   string     `key:"password_file"`   // read again when it changes
	ConnectionName string     `key:"connection_name"` // the name in the broker's management
	Properties     amqp.Table `key:"client_properties"`
	Mechanism      string     `key:"mechanism" oneof:"PLAIN AMQPLAIN EXTERNAL"`

	// For amqps.
	CAFile     string `key:"ca_file"` // "" = the system's
	CertFile   string `key:"cert_file"`
	KeyFile    string `key:"key_file"`
	ServerName string `key:"server_name"` // the name that the broker's certificate must have; "" = the URL's host
	Verify     bool   `key:"verify"`

	Heartbeat  time.Duration `key:"heartbeat" min:"1s" max:"65535s" unit:"s" off:"a dead broker is found by TCP alone"`
	Keepalive  time.Duration `key:"keepalive" min:"1s" max:"24h" off:"no pings"`
	FrameMax   Size          `key:"frame_max" min:"4KiB" max:"128KiB"` // the whole frame, with its 8 octets of framing
	ChannelMax int           `key:"channel_max" min:"1" max:"65535"`
	BodyMax    Size          `key:"body_max" min:"1B" max:"2GiB"`
	// Prefetch is the default for consumers; 0 = no limit.
	Prefetch         int           `key:"prefetch" min:"1" max:"65535" off:"the broker sends all it has"`
	Confirms         bool          `key:"confirms"`
	TxSelect         bool          `key:"tx_select"`
	Replies          string        `key:"replies" oneof:"direct queue"`
	ConfirmTimeout   time.Duration `key:"confirm_timeout" min:"10ms" max:"24h"`
	PublishMax       Size          `key:"publish_max" min:"1KiB" max:"64GiB"` // octets that are held unsent or unconfirmed
	HandshakeTimeout time.Duration `key:"handshake_timeout" min:"100ms" max:"1h"`
	BackoffMin       time.Duration `key:"backoff_min" min:"1ms" max:"1h"`
	BackoffMax       time.Duration `key:"backoff_max" min:"1ms" max:"24h"`
	// Outbox "sql" makes publishes of calls that have joined SQL rows of their transactions.
	Outbox string `key:"outbox" oneof:"off sql"`
	// Spool "file" keeps publishes on disk that the broker cannot take.
	Spool    string `key:"spool" oneof:"off file"`
	SpoolDir string `key:"spool_dir"` // has a directory for each connection
	SpoolMax Size   `key:"spool_max" min:"1KiB" max:"1024GiB"`
}

// Node is one address of a broker.
type Node struct {
	Host string
	Port int
	TLS  bool
}

// Address is the node's as "host:port".
func (n Node) Address() string { return net.JoinHostPort(n.Host, strconv.Itoa(n.Port)) }

// defaultConnection returns the defaults of every [connection.NAME].
func defaultConnection() *Connection {
	c := client.DefaultConfig()
	return &Connection{
		URL:              []string{embeddedScheme},
		URI:              amqp.URI{Scheme: embeddedScheme, Vhost: c.Vhost},
		Order:            "shuffled",
		ConnectionName:   "zamqp",
		Properties:       amqp.Table{},
		Mechanism:        c.Mechanism,
		Verify:           true,
		Heartbeat:        60 * time.Second,
		FrameMax:         Size(c.FrameMax),
		ChannelMax:       int(c.ChannelMax),
		BodyMax:          Size(c.BodyMax),
		Prefetch:         100,
		Confirms:         !c.NoConfirms,
		TxSelect:         c.TxSelect,
		Replies:          "direct",
		ConfirmTimeout:   c.ConfirmTimeout,
		PublishMax:       Size(c.PublishMax),
		HandshakeTimeout: c.HandshakeTimeout,
		BackoffMin:       c.BackoffMin,
		BackoffMax:       c.BackoffMax,
		Outbox:           "off",
		Spool:            "off",
		SpoolDir:         "spool",
		SpoolMax:         spool.MaxDefault,
	}
}
