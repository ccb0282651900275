package client

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// The authentication mechanisms that we support.
const (
	mechanismPlain    = "PLAIN"
	mechanismAMQPlain = "AMQPLAIN"
	mechanismExternal = "EXTERNAL"
)

// authResponse returns the response for start-ok, if the broker offers the configured
// mechanism. offered is a list separated by spaces. §1.4.2.1.
func authResponse(cfg *Config, offered []byte) ([]byte, error) {
	found := false
	for _, m := range bytes.Fields(offered) {
		found = found || string(m) == cfg.Mechanism
	}
	if !found {
		return nil, fmt.Errorf("the broker does not offer mechanism %q but %q: set one of those", cfg.Mechanism, offered)
	}
	switch cfg.Mechanism {
	case mechanismPlain: // RFC 4616, without an authorization identity
		return []byte("\x00" + cfg.Username + "\x00" + cfg.Password), nil
	case mechanismAMQPlain: // a table without its length, as in RabbitMQ
		return amqpproto.AppendTable(nil, amqp.Table{"LOGIN": cfg.Username, "PASSWORD": cfg.Password})
	case mechanismExternal:
		return nil, nil
	}
	return nil, fmt.Errorf("mechanism %q is not known: use %s, %s or %s", cfg.Mechanism, mechanismPlain, mechanismAMQPlain, mechanismExternal)
}

// clientProperties returns what we tell the broker about ourselves. The code depends
// on the capabilities, so the configuration cannot change them.
func clientProperties(cfg *Config) (amqpproto.RawTable, error) {
	t := amqp.Table{
		"product":         "zamqp",
		"platform":        "Go " + runtime.Version(),
		"connection_name": cfg.ConnectionName,
	}
	maps.Copy(t, cfg.Properties)
	t["capabilities"] = amqp.Table{
		"authentication_failure_close": true,
		"basic.nack":                   true,
		"connection.blocked":           true,
		"consumer_cancel_notify":       true,
		"exchange_exchange_bindings":   true,
		"publisher_confirms":           true,
	}
	table, err := amqpproto.AppendTable(nil, t)
	if err != nil {
		return nil, fmt.Errorf("client properties: %w", err)
	}
	return table, nil
}

// serverName returns the broker's product and version, with "?" for what is missing.
func serverName(properties amqpproto.RawTable) string {
	get := func(key string) string {
		if f, ok := properties.Lookup(key); ok {
			if v, err := f.Value(); err == nil {
				return fmt.Sprint(v)
			}
		}
		return "?"
	}
	return get("product") + " " + get("version")
}
