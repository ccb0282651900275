package config

import (
	"time"

	"zamqp/amqpproto/broker"
)

// Broker is [broker]: the embedded broker. It runs if a connection's url is "embedded",
// or alone as `zamqp broker`.
type Broker struct {
	// Listen holds "host:port"; empty = only this process can connect.
	Listen []string `key:"listen"`
	// AllowPlain allows addresses that other machines can reach although there is no TLS, so
	// that passwords and messages can be read on the way.
	AllowPlain bool   `key:"allow_plain"`
	TLSCert    string `key:"tls_cert"` // PEM files; "" = no TLS
	TLSKey     string `key:"tls_key"`
	// DataDir is the directory for durable queues and messages; "" = nothing is durable.
	DataDir string `key:"data_dir"`
	// Users may connect; without any, guest with the password guest may, from this machine
	// only.
	Users  map[string]*BrokerUser `key:"users" short:"hash"`
	Vhosts []string               `key:"vhosts"` // the first is the one of url = "embedded"
	// Product is the name that clients are told. Some clients do certain things only for
	// RabbitMQ.
	Product string `key:"product"`

	MemoryMax      Size          `key:"memory_max" min:"1MiB" max:"1024GiB"` // memory of messages; above it publishers wait
	DiskFreeMin    Size          `key:"disk_free_min" min:"1MiB" max:"1024GiB" off:"publishers go on until writing fails"`
	BodyMax        Size          `key:"body_max" min:"1B" max:"2GiB"`
	FrameMax       Size          `key:"frame_max" min:"4KiB" max:"1MiB"`
	ChannelMax     int           `key:"channel_max" min:"1" max:"65535"`
	Heartbeat      time.Duration `key:"heartbeat" min:"1s" max:"65535s" unit:"s" off:"a dead client is found by TCP alone"`
	ConnectionsMax int           `key:"connections_max" min:"1" max:"10000000" off:"bounded by file descriptors only"`
	QueuesMax      int           `key:"queues_max" min:"1" max:"10000000"` // limit for one virtual host
}

// BrokerUser is one of [broker.users]. In the configuration, a hash alone is the short form
// for a user who may do everything.
type BrokerUser struct {
	// Hash is the bcrypt hash of the password. It may be "" for guest only, whose password
	// is guest and who may connect from this machine only.
	Hash string   `key:"hash" secret:"hash"`
	Tags []string `key:"tags"` // RabbitMQ's; only impersonator has a meaning here
	// Permissions are by virtual host. With one entry, all other hosts are forbidden.
	Permissions map[string]*BrokerPermission `key:"permissions"`
}

// BrokerPermission holds regular expressions, like RabbitMQ's set_permissions: which
// exchanges and queues may be declared, written and read.
type BrokerPermission struct {
	Configure string `key:"configure"`
	Write     string `key:"write"`
	Read      string `key:"read"`
}

func defaultBroker() Broker {
	o := broker.DefaultOptions()
	return Broker{
		Listen:      []string{"127.0.0.1:5672"},
		Users:       map[string]*BrokerUser{},
		Vhosts:      o.Vhosts,
		Product:     o.Product,
		MemoryMax:   Size(o.MemoryMax),
		DiskFreeMin: 64 * MiB,
		BodyMax:     Size(o.BodyMax),
		FrameMax:    Size(o.FrameMax),
		ChannelMax:  int(o.ChannelMax),
		Heartbeat:   o.Heartbeat,
		QueuesMax:   o.QueuesMax,
	}
}
