package differential_test

import (
	"maps"
	"slices"
	"strconv"

	"github.com/streadway/amqp"
)

func itoa(n int) string { return strconv.Itoa(n) }

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// argument adds something to the arguments of a queue.
type argument func(*generator, table)

// arguments draws from a theme's list; now and then from another theme's, because features
// have to work together.
func (g *generator) arguments(from []argument) table {
	t := table{}
	if g.percent(12) && g.theme.name != "quorum" {
		from = pick(g, plain, deadLetters, lengths, priorities, consuming)
	}
	for range g.IntN(3) {
		if len(from) > 0 {
			pick(g, from...)(g, t)
		}
	}
	return t
}

// number is an integer in one of the types that clients send.
func (g *generator) number(n int) any {
	if g.percent(70) {
		return int32(n)
	}
	return pick[any](g, int64(n), int16(n))
}

var (
	plain = []argument{deadLetterTo, maxLength, classic, withPriority, longTTL, nothing, nothing, nothing}
	times = []argument{shortTTL, shortTTL, noTTL, longTTL, expires, deadLetterTo, deadLetterTo, maxLength}

	deadLetters = []argument{deadLetterTo, deadLetterTo, deadLetterTo, maxLength, noTTL, withPriority}
	lengths     = []argument{maxLength, maxLength, maxBytes, rejectPublish, rejectPublish, deadLetterTo, withPriority}
	priorities  = []argument{withPriority, withPriority, withPriority, maxLength, deadLetterTo}
	consuming   = []argument{singleActive, singleActive, withPriority, nothing, nothing}
	quorum      = []argument{quorumType, quorumType, quorumType, deadLetterTo}
)

func nothing(*generator, table) {}

func classic(_ *generator, t table) { t["x-queue-type"] = "classic" }

func deadLetterTo(g *generator, t table) {
	g.lettered = true
	t["x-dead-letter-exchange"] = pick(g, "", "", "@e1", "@e2", "amq.fanout", "amq.direct", "@nosuch")
	if t["x-dead-letter-exchange"] == "" || g.percent(40) {
		t["x-dead-letter-routing-key"] = pick(g, "@q1", "@q2", "@q3", "a", "a.b")
	}
}

func maxLength(g *generator, t table) { t["x-max-length"] = g.number(g.IntN(5)) }

func maxBytes(g *generator, t table) {
	t["x-max-length-bytes"] = g.number(pick(g, 0, 20, 50, 100, 400))
}

func rejectPublish(g *generator, t table) {
	if t["x-max-length"] == nil && t["x-max-length-bytes"] == nil {
		pick(g, maxLength, maxBytes)(g, t)
	}
	t["x-overflow"] = pick(g, "reject-publish", "reject-publish", "drop-head")
}

func withPriority(g *generator, t table) {
	if !g.hurried {
		t["x-max-priority"], g.ranked = g.number(pick(g, 0, 1, 3, 5, 10)), true
	}
}

func singleActive(_ *generator, t table) { t["x-single-active-consumer"] = true }

func noTTL(g *generator, t table) { t["x-message-ttl"] = g.number(0) }

func longTTL(g *generator, t table) { t["x-message-ttl"] = int32(never) }

func shortTTL(g *generator, t table) {
	if g.ranked {
		return
	}
	t["x-message-ttl"], g.hurried = int32(soon), true
	g.expiring()
}

func expires(g *generator, t table) {
	t["x-expires"] = pick(g, int32(soon), int32(never))
}

func quorumType(g *generator, t table) {
	t["x-queue-type"] = "quorum"
	switch {
	case g.percent(40):
		t["x-delivery-limit"] = int32(1 + g.IntN(2))
	case g.percent(20):
		maxLength(g, t)
	}
}

// badArguments are operations that a broker should refuse, or at least may.
var badArguments = []func(*generator) *operation{
	func(g *generator) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{pick(g, "x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes",
			"x-max-priority", "x-delivery-limit"): pick[any](g, int32(-1), "10", true, 1.5, int64(1)<<40, nil, []byte("1"))}}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{pick(g, "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-overflow",
			"x-queue-type", "x-queue-mode"): pick[any](g, int32(1), "what", true, table{"a": "b"})}}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{pick(g, "x-single-active-consumer", "x-what", "what"): pick[any](g, int32(1), "true", false)}}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{"x-dead-letter-routing-key": "a"}}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{"x-max-priority": pick[any](g, int32(255), int32(256), int64(1000), int32(0))}}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{"x-queue-type": "quorum"}, flags: pick(g, "", "durable exclusive", "durable auto-delete")}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.declare", queue: pick(g, "amq.what", "amq.gen-mine", "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.x")}
	},
	func(g *generator) *operation {
		return &operation{do: "exchange.declare", exchange: pick(g, "amq.what", "amq.direct", "amq.topic", "", "@bad"), kind: pick(g, "direct", "topic", "what", "", "x-what"),
			flags: pick(g, "durable", "", "passive")}
	},
	func(g *generator) *operation {
		return &operation{do: "exchange.declare", exchange: "@bad", kind: "direct", args: table{"alternate-exchange": pick[any](g, int32(1), "", "amq.what", true)}}
	},
	func(g *generator) *operation {
		return &operation{do: "exchange.delete", exchange: pick(g, "amq.direct", "", "amq.what", "@bad")}
	},
	func(g *generator) *operation {
		return &operation{do: "publish", exchange: pick(g, "@nosuch", "amq.direct", ""), key: "a", size: 5, flags: pick(g, "immediate", "", "mandatory immediate")}
	},
	func(g *generator) *operation {
		return &operation{do: "publish", key: "@q1", size: 5, props: table{"expiration": pick(g, "", "soon", "-1", "1.5", " 1", "99999999999999999999", "4294967296", "+3600000")}}
	},
	func(g *generator) *operation {
		return &operation{do: "publish", key: "@q1", size: 5, props: table{"user-id": "somebody"}}
	},
	func(g *generator) *operation {
		return &operation{do: "publish", key: "@q1", size: 5, props: table{"headers": table{pick(g, "CC", "BCC"): pick[any](g, "a", int32(1), []any{int32(1)}, []any{"a"})}}}
	},
	func(g *generator) *operation {
		return &operation{do: "basic.consume", queue: g.queue(), tag: "c1", args: table{pick(g, "x-priority", "x-what", "x-stream-offset"): pick[any](g, "high", 1.5, true, int32(1))}}
	},
	func(g *generator) *operation {
		return &operation{do: "basic.consume", queue: pick(g, "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.x"), tag: "c1", flags: pick(g, "", "no-ack", "no-ack exclusive")}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.bind", queue: g.queue(), exchange: pick(g, "", "@nosuch", "amq.headers"), key: "a",
			args: table{"x-match": pick[any](g, "some", int32(1))}}
	},
	func(g *generator) *operation {
		return &operation{do: "basic.get", queue: pick(g, "amq.rabbitmq.reply-to", "@nosuch", "amq.what")}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.purge", queue: pick(g, "amq.rabbitmq.reply-to", "@nosuch")}
	},
	func(g *generator) *operation {
		return &operation{do: "queue.declare", queue: "@odd", args: table{"odd": pick[any](g, amqp.Decimal{Scale: 2, Value: 314}, []any{}, table{}, nil, float32(1))}}
	},
}
