package broker

import (
	"fmt"
	"runtime"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// heartbeatSeconds returns the interval that connection.tune proposes.
func (o *Options) heartbeatSeconds() uint16 {
	if o.Heartbeat <= 0 {
		return 0
	}
	return uint16(min((o.Heartbeat+time.Second-1)/time.Second, 65535))
}

// serverProperties returns what connection.start says about the server. The capabilities are
// those of RabbitMQ that this broker has, too.
func serverProperties(o *Options) ([]byte, error) {
	t, err := amqpproto.AppendTable(nil, amqp.Table{
		"product":     o.Product,
		"version":     o.Version,
		"platform":    "Go " + runtime.Version(),
		"information": "embedded AMQP 0-9-1 broker",
		"capabilities": amqp.Table{
			"publisher_confirms":           true,
			"exchange_exchange_bindings":   true,
			"basic.nack":                   true,
			"consumer_cancel_notify":       true,
			"connection.blocked":           true,
			"consumer_priorities":          true,
			"authentication_failure_close": true,
			"per_consumer_qos":             true,
			"direct_reply_to":              true,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("broker: server-properties: %w", err)
	}
	return t, nil
}

// onHeader handles the protocol header. If it is of another protocol or version, the answer
// is our header, and the connection ends. §4.2.2.
func (c *Conn) onHeader(in []byte) (n int, err error) {
	version, n, err := amqpproto.CutProtocolHeader(in)
	if err == nil && n == 0 {
		return 0, nil
	}
	if err == nil && version != [4]byte{0, 0, 9, 1} {
		err = fmt.Errorf("the client speaks AMQP %v, we speak 0-0-9-1", version)
	}
	if err != nil {
		c.out.Buf = append(c.out.Buf, amqpproto.ProtocolHeader...)
		return 0, err
	}
	c.state = awaitStartOk
	c.send(0, &amqpproto.ConnectionStart{VersionMinor: 9, ServerProperties: c.server.properties,
		Mechanisms: []byte(mechanisms), Locales: []byte("en_US")})
	return n, nil
}

// rabbitStates has RabbitMQ's names for the states, for its error texts.
var rabbitStates = [...]string{awaitStartOk: "starting", awaitLogin: "securing", awaitTuneOk: "tuning", awaitOpen: "opening", connOpen: "running"}

// onMethod handles the methods of channel 0.
func (c *Conn) onMethod(id amqpproto.MethodID, args []byte) error {
	switch {
	case !id.Known():
		return amqpproto.UnknownMethod(id)
	case id == amqpproto.IDConnectionClose && c.state > awaitStartOk:
		return c.onClose(args)
	case id == amqpproto.IDConnectionStartOk && c.state == awaitStartOk:
		return c.onStartOk(args)
	case id == amqpproto.IDConnectionTuneOk && c.state == awaitTuneOk:
		return c.onTuneOk(args)
	case id == amqpproto.IDConnectionOpen && c.state == awaitOpen:
		return c.onOpen(args)
	case id == amqpproto.IDConnectionUpdateSecret && c.state == connOpen:
		// Our passwords do not expire. RabbitMQ's own backend also accepts any secret.
		var m amqpproto.ConnectionUpdateSecret
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		c.send(0, &amqpproto.ConnectionUpdateSecretOk{})
		return nil
	}
	return connectionError(amqpproto.ChannelErrorCode, id, "unexpected method in connection state %s", rabbitStates[c.state])
}

func (c *Conn) onStartOk(args []byte) error {
	var m amqpproto.ConnectionStartOk
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if err := m.ClientProperties.Validate(); err != nil {
		return err
	}
	if name, ok := m.ClientProperties.Lookup("connection_name"); ok {
		if b, ok := name.Bytes(); ok {
			c.name = string(b[:min(len(b), amqpproto.ShortstrMax)])
		}
	}
	if f, ok := m.ClientProperties.Lookup("capabilities"); ok {
		if t, ok := f.Table(); ok {
			c.cancelNotify = has(t, "consumer_cancel_notify")
			c.blockedNotify = has(t, "connection.blocked")
			c.failureClose = has(t, "authentication_failure_close")
		}
	}
	c.login(string(m.Mechanism), m.Response)
	return nil
}

func has(t amqpproto.RawTable, capability string) bool {
	f, ok := t.Lookup(capability)
	if !ok {
		return false
	}
	v, ok := f.Bool()
	return ok && v
}

// onTuneOk handles the client's limits, which must be within ours. 0 means no limit, and so
// exceeds any limit. The texts are RabbitMQ's.
func (c *Conn) onTuneOk(args []byte) error {
	var m amqpproto.ConnectionTuneOk
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	o := &c.server.opts
	if err := negotiated("frame_max", m.FrameMax, amqpproto.FrameMin, o.FrameMax, ""); err != nil {
		return err
	}
	detail := ""
	if m.ChannelMax == 0 {
		detail = " (no limit)"
	}
	if err := negotiated("channel_max", uint32(m.ChannelMax), 1, uint32(o.ChannelMax), detail); err != nil {
		return err
	}
	c.frameMax, c.channelMax = m.FrameMax, m.ChannelMax
	c.beat.Interval = int64(m.Heartbeat) * int64(time.Second)
	c.state = awaitOpen
	return nil
}

func negotiated(field string, value, least, most uint32, detail string) error {
	bound, than, limit := "", "", uint32(0)
	switch {
	case value != 0 && value < least:
		bound, than, limit = "minimum", "lower", least
	case value == 0 || value > most:
		bound, than, limit = "maximum", "higher", most
	default:
		return nil
	}
	return connectionError(amqpproto.NotAllowed, amqpproto.IDConnectionTune,
		"negotiated %s = %d%s is %s than the %s allowed value (%d)", field, value, detail, than, bound, limit)
}

func (c *Conn) onOpen(args []byte) error {
	var m amqpproto.ConnectionOpen
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	s := c.server
	v := s.vhosts[string(m.VirtualHost)]
	if v == nil {
		return connectionError(amqpproto.NotAllowed, m.ID(), "vhost %s not found", m.VirtualHost)
	}
	if c.user.vhosts != nil {
		if c.access = c.user.vhosts[v.name]; c.access == nil {
			return connectionError(amqpproto.NotAllowed, m.ID(), "access to vhost '%s' refused for user '%s'", v.name, c.user.name)
		}
	}
	if s.closing {
		return connectionError(amqpproto.ConnectionForced, m.ID(), "broker is shutting down")
	}
	c.vhost = v
	c.state = connOpen
	c.limit = 0
	s.stats.ConnectionsOpened++
	c.send(0, &amqpproto.ConnectionOpenOk{})
	c.note(ConnectionOpened, nil)
	return nil
}
