package config

import (
	"time"

	"zamqp/publisher"
	"zamqp/publisher/http1"
)

// Settings is the whole configuration, typed, checked and expanded. Load returns it. A field's path
// in config.toml is made of the `key` tags on the way to it: http.idle_timeout,
// connection.default.url.
//
// The tags are the schema: see rule.
type Settings struct {
	Log       Log       `key:"log"`
	AccessLog AccessLog `key:"access_log"`
	HTTP      HTTP      `key:"http"`
	WebSocket WebSocket `key:"websocket"`
	Loop      Loop      `key:"loop"`
	Metrics   Metrics   `key:"metrics"`
	Server    Server    `key:"server"`
	Client    Client    `key:"client"`
	Tracing   Tracing   `key:"tracing"`
	Site      Site      `key:"site"`
	Broker    Broker    `key:"broker"`
	// Pools always has "default", and the pools that handlers register. 0 = not set.
	Pools map[string]*Pool `key:"pool"`
	// Connections always has "default". Only connections that an enabled consumer or a
	// producer names are opened.
	Connections map[string]*Connection `key:"connection"`
	// Consumers, Producers, Clocks and Topics are copies of what handler packages registered, with
	// the changes of the configuration. Resolve fills in the defaults.
	Consumers map[string]*publisher.Consumer `key:"consumer"`
	Producers map[string]*publisher.Producer `key:"producer"`
	Clocks    map[string]*publisher.Clock    `key:"clock"`
	Topics    map[string]*publisher.Topic    `key:"topic"`
	// ConsumingServers run instances of the consumers; without any, each consumer runs once.
	ConsumingServers map[string]*ConsumingServer `key:"consuming_server"`

	baseURL string            // site.base_url as it was written, perhaps with ${site_id}
	apps    []appTable        // the tables of [app], by name
	origins map[string]Origin // by dotted path, for problems that Resolve finds
}

// Log says which lines are logged, and in which format.
type Log struct {
	Level  string `key:"level" oneof:"trace debug info warn error"`
	Format string `key:"format" oneof:"auto console json"`
	// RepeatMax is how many of the server's own lines of one kind are written in a minute; 0 =
	// all.
	RepeatMax int `key:"repeat_max" min:"1" max:"1000000" off:"every line is written, however many there are"`
}

// AccessLog says which calls get a line in the log when they are over.
type AccessLog struct {
	Enabled bool `key:"enabled"`
	Sample  int  `key:"sample" min:"1" max:"1000000"`
}

// HTTP holds the listeners and the limits of publisher/http1.
type HTTP struct {
	// Listen has "host:port" and "unix:/path"; empty = no HTTP.
	Listen      []string      `key:"listen"`
	ServerName  string        `key:"server_name"` // the Server field of answers; "" = none
	IdleTimeout time.Duration `key:"idle_timeout" min:"100ms" max:"24h"`
	HeadTimeout time.Duration `key:"head_timeout" min:"100ms" max:"1h"`
	// BodyRateMin is in octets a second; 0 = off.
	BodyRateMin Size `key:"body_rate_min" min:"1B" max:"1GiB" off:"bodies may come as slowly as they like"`
	// AnswerRateMin is in octets a second; 0 = off.
	AnswerRateMin Size `key:"answer_rate_min" min:"1B" max:"1GiB" off:"a client may take an answer as slowly as it likes, if it takes some each minute"`
	HeadMax       Size `key:"head_max" min:"1KiB" max:"1MiB"`
	TargetMax     Size `key:"target_max" min:"64B" max:"1MiB"`
	FieldsMax     int  `key:"fields_max" min:"4" max:"10000"`
	BodyMax       Size `key:"body_max" min:"1B" max:"1GiB"`
	// BodiesMax limits the bodies of all connections together, from the first octet to the
	// end of the call.
	BodiesMax Size `key:"bodies_max" min:"64KiB" max:"1024GiB" off:"nothing bounds the bodies of all connections together"`
	// TrustedProxies has networks, addresses and "unix"; empty = nobody is believed.
	TrustedProxies []string `key:"trusted_proxies"`
	// Forwarded is the field in which the trusted proxies say how a client came to them.
	Forwarded string `key:"forwarded" oneof:"x-forwarded forwarded"`
	// ConnectionsMax counts all HTTP connections; 0 = no limit but file descriptors.
	ConnectionsMax int `key:"connections_max" min:"1" max:"10000000" off:"bounded by file descriptors only"`
	// Documents serves the documents of the interface, /openapi.json and /asyncapi.json.
	Documents bool    `key:"documents"`
	TLS       HTTPTLS `key:"tls"`
}

// WebSocket bounds the WebSockets of all routes.
type WebSocket struct {
	MessageMax   Size          `key:"message_max" min:"125B" max:"16MiB"`
	FrameMax     Size          `key:"frame_max" min:"125B" max:"16MiB" off:"a frame may be as long as a message"`
	OutputMax    Size          `key:"output_max" min:"4KiB" max:"16MiB"`
	PingInterval time.Duration `key:"ping_interval" min:"100ms" max:"24h" off:"clients that are silent are never asked whether they are there"`
	PongTimeout  time.Duration `key:"pong_timeout" min:"100ms" max:"1h"`
	// Origins may connect besides pages of the same host.
	Origins []string `key:"origins"`
}

// Loop has the settings of the event loop.
type Loop struct {
	HighWater    Size          `key:"high_water" min:"16KiB" max:"1GiB"`
	StallWarning time.Duration `key:"stall_warning" min:"1ms" max:"1h" off:"nobody watches for stalls"`
	// StallLimit ends the process; 0 = never.
	StallLimit time.Duration `key:"stall_limit" min:"1s" max:"24h" off:"the thread may be held for ever"`
	// Processors is GOMAXPROCS, unless the environment sets that; 0 = some more than the
	// machine has.
	Processors int `key:"processors" min:"0" max:"1024"`
	// SpareProcessor keeps offloaded work that computes from one processor of the machine.
	SpareProcessor bool `key:"spare_processor"`
}

// Metrics says what is measured besides what the server counts anyway.
type Metrics struct {
	// QueueInterval is how often the broker is asked how much waits in the consumers' queues.
	QueueInterval time.Duration `key:"queue_interval" min:"1s" max:"24h" off:"the broker is not asked how much waits in queues"`
	// CallTimes has the duration of each call measured.
	CallTimes bool `key:"call_times"`
}

// Pool is one [pool.NAME]: the limits for work that handlers offload to it.
type Pool struct {
	Workers int `key:"workers" min:"1" max:"10000"`
	Queue   int `key:"queue" min:"1" max:"10000000"`
}

// Client limits the requests that handlers send by r.Client.
type Client struct {
	HostMax        int           `key:"host_max" min:"1" max:"10000"`
	RequestsMax    int           `key:"requests_max" min:"1" max:"10000"`
	Queue          int           `key:"queue" min:"1" max:"10000000"`
	ConnectTimeout time.Duration `key:"connect_timeout" min:"1ms" max:"10m"`
	IdleTimeout    time.Duration `key:"idle_timeout" min:"1ms" max:"24h"`
	TLSCA          string        `key:"tls_ca"` // PEM file; "" = the system's
}

// Server has limits for calls of any source.
type Server struct {
	DrainTimeout time.Duration `key:"drain_timeout" min:"1ms" max:"24h" off:"a stop waits for nothing"`
	// DrainDelay comes before DrainTimeout.
	DrainDelay      time.Duration `key:"drain_delay" min:"1ms" max:"1h" off:"the listeners close at once"`
	CallTimeout     time.Duration `key:"call_timeout" min:"1ms" max:"24h" off:"a call may wait for ever"`
	CallsMax        int           `key:"calls_max" min:"1" max:"10000000"`
	ConflictRetries int           `key:"conflict_retries" min:"0" max:"100"`
	DataDir         string        `key:"data_dir"`                         // directory of publisher/inhand; "" = none
	UnpackMax       Size          `key:"unpack_max" min:"1KiB" max:"4GiB"` // largest size of an unpacked body
	RequestID       string        `key:"request_id" oneof:"off accept generate"`
}

// Site names this deployment.
type Site struct {
	ID      string `key:"id"`       // what replaces ${site_id}
	BaseURL string `key:"base_url"` // for URLs in calls without a client; "" = none
}

// Size is a number of octets. In the configuration it has a unit: "64KiB".
type Size = publisher.Size

// Units of Size.
const (
	KiB = publisher.KiB
	MiB = publisher.MiB
	GiB = publisher.GiB
)

// Defaults returns the settings of an empty configuration. Where a machine has a default, it
// is taken from there. config.toml says the same, key by key; a test compares the two.
func Defaults() *Settings {
	return &Settings{
		Log:       Log{Level: "info", Format: "auto", RepeatMax: 100},
		AccessLog: AccessLog{Sample: 1},
		HTTP:      defaultHTTP(),
		WebSocket: defaultWebSocket(),
		Loop:      Loop{HighWater: MiB, StallWarning: 100 * time.Millisecond, SpareProcessor: true},
		Metrics:   Metrics{QueueInterval: 30 * time.Second, CallTimes: true},
		Server: Server{
			DrainTimeout:    30 * time.Second,
			CallTimeout:     60 * time.Second,
			CallsMax:        10000,
			ConflictRetries: 3,
			UnpackMax:       publisher.UnpackMax,
			DataDir:         "data",
			RequestID:       publisher.RequestIDOff,
		},
		Client: Client{
			HostMax:        publisher.ClientHostMax,
			RequestsMax:    publisher.ClientRequestsMax,
			Queue:          publisher.ClientQueue,
			ConnectTimeout: publisher.ClientConnectTimeout,
			IdleTimeout:    publisher.ClientIdleTimeout,
		},
		Tracing:     Tracing{Enabled: "auto"},
		Broker:      defaultBroker(),
		Pools:       map[string]*Pool{publisher.DefaultPool: {Workers: publisher.PoolWorkers, Queue: publisher.PoolQueue}},
		Connections: map[string]*Connection{"default": defaultConnection()},
		Consumers:   map[string]*publisher.Consumer{},
		Producers:   map[string]*publisher.Producer{},
	}
}

func defaultWebSocket() WebSocket {
	d := publisher.SocketDefaults
	return WebSocket{MessageMax: d.MessageMax, OutputMax: d.OutputMax, PingInterval: d.PingInterval, PongTimeout: d.PongTimeout, Origins: []string{}}
}

func defaultHTTP() HTTP {
	c := http1.DefaultConfig()
	return HTTP{
		Listen:         []string{"127.0.0.1:8080"},
		ServerName:     c.ServerName,
		IdleTimeout:    c.IdleTimeout,
		HeadTimeout:    c.HeadTimeout,
		BodyRateMin:    Size(c.BodyRateMin),
		AnswerRateMin:  Size(c.AnswerRateMin),
		HeadMax:        Size(c.HeadMax),
		TargetMax:      Size(c.TargetMax),
		FieldsMax:      c.FieldsMax,
		BodyMax:        Size(c.BodyMax),
		BodiesMax:      256 * MiB,
		Forwarded:      "x-forwarded",
		TrustedProxies: []string{},
		TLS:            defaultHTTPTLS(),
	}
}
