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
type argument func(*author, table)

// arguments draws from a theme's list; now and then from another theme's, as
// features have to live together.
func (a *author) arguments(from []argument) table {
	t := table{}
	if a.percent(12) && a.theme.name != "quorum" {
		from = pick(a, plain, deadLetters, lengths, priorities, consuming)
	}
	for range a.IntN(3) {
		if len(from) > 0 {
			pick(a, from...)(a, t)
		}
	}
	return t
}

// number is an integer in one of the types that clients send.
func (a *author) number(n int) any {
	if a.percent(70) {
		return int32(n)
	}
	return pick[any](a, int64(n), int16(n))
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

func nothing(*author, table) {}

func classic(_ *author, t table) { t["x-queue-type"] = "classic" }

func deadLetterTo(a *author, t table) {
	a.lettered = true
	t["x-dead-letter-exchange"] = pick(a, "", "", "@e1", "@e2", "amq.fanout", "amq.direct", "@nosuch")
	if t["x-dead-letter-exchange"] == "" || a.percent(40) {
		t["x-dead-letter-routing-key"] = pick(a, "@q1", "@q2", "@q3", "a", "a.b")
	}
}

func maxLength(a *author, t table) { t["x-max-length"] = a.number(a.IntN(5)) }

func maxBytes(a *author, t table) { t["x-max-length-bytes"] = a.number(pick(a, 0, 20, 50, 100, 400)) }

func rejectPublish(a *author, t table) {
	if t["x-max-length"] == nil && t["x-max-length-bytes"] == nil {
		pick(a, maxLength, maxBytes)(a, t)
	}
	t["x-overflow"] = pick(a, "reject-publish", "reject-publish", "drop-head")
}

func withPriority(a *author, t table) {
	if !a.hurried {
		t["x-max-priority"], a.ranked = a.number(pick(a, 0, 1, 3, 5, 10)), true
	}
}

func singleActive(_ *author, t table) { t["x-single-active-consumer"] = true }

func noTTL(a *author, t table) { t["x-message-ttl"] = a.number(0) }

func longTTL(a *author, t table) { t["x-message-ttl"] = int32(never) }

func shortTTL(a *author, t table) {
	if a.ranked {
		return
	}
	t["x-message-ttl"], a.hurried = int32(soon), true
	a.expiring()
}

func expires(a *author, t table) {
	t["x-expires"] = pick(a, int32(soon), int32(never))
}

func quorumType(a *author, t table) {
	t["x-queue-type"] = "quorum"
	switch {
	case a.percent(40):
		t["x-delivery-limit"] = int32(1 + a.IntN(2))
	case a.percent(20):
		maxLength(a, t)
	}
}

// badArguments are operations that a broker should refuse, or at least may.
var badArguments = []func(*author) *operation{
	func(a *author) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{pick(a, "x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes",
			"x-max-priority", "x-delivery-limit"): pick[any](a, int32(-1), "10", true, 1.5, int64(1)<<40, nil, []byte("1"))}}
	},
	func(a *author) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{pick(a, "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-overflow",
			"x-queue-type", "x-queue-mode"): pick[any](a, int32(1), "what", true, table{"a": "b"})}}
	},
	func(a *author) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{pick(a, "x-single-active-consumer", "x-what", "what"): pick[any](a, int32(1), "true", false)}}
	},
	func(a *author) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{"x-dead-letter-routing-key": "a"}}
	},
	func(a *author) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{"x-max-priority": pick[any](a, int32(255), int32(256), int64(1000), int32(0))}}
	},
	func(a *author) *operation {
		return &operation{do: "queue.declare", queue: "@bad", args: table{"x-queue-type": "quorum"}, flags: pick(a, "", "durable exclusive", "durable auto-delete")}
	},
	func(a *author) *operation {
		return &operation{do: "queue.declare", queue: pick(a, "amq.what", "amq.gen-mine", "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.x")}
	},
	func(a *author) *operation {
		return &operation{do: "exchange.declare", exchange: pick(a, "amq.what", "amq.direct", "amq.topic", "", "@bad"), kind: pick(a, "direct", "topic", "what", "", "x-what"),
			flags: pick(a, "durable", "", "passive")}
	},
	func(a *author) *operation {
		return &operation{do: "exchange.declare", exchange: "@bad", kind: "direct", args: table{"alternate-exchange": pick[any](a, int32(1), "", "amq.what", true)}}
	},
	func(a *author) *operation {
		return &operation{do: "exchange.delete", exchange: pick(a, "amq.direct", "", "amq.what", "@bad")}
	},
	func(a *author) *operation {
		return &operation{do: "publish", exchange: pick(a, "@nosuch", "amq.direct", ""), key: "a", size: 5, flags: pick(a, "immediate", "", "mandatory immediate")}
	},
	func(a *author) *operation {
		return &operation{do: "publish", key: "@q1", size: 5, props: table{"expiration": pick(a, "", "soon", "-1", "1.5", " 1", "99999999999999999999", "4294967296", "+3600000")}}
	},
	func(a *author) *operation {
		return &operation{do: "publish", key: "@q1", size: 5, props: table{"user-id": "somebody"}}
	},
	func(a *author) *operation {
		return &operation{do: "publish", key: "@q1", size: 5, props: table{"headers": table{pick(a, "CC", "BCC"): pick[any](a, "a", int32(1), []any{int32(1)}, []any{"a"})}}}
	},
	func(a *author) *operation {
		return &operation{do: "basic.consume", queue: a.queue(), tag: "c1", args: table{pick(a, "x-priority", "x-what", "x-stream-offset"): pick[any](a, "high", 1.5, true, int32(1))}}
	},
	func(a *author) *operation {
		return &operation{do: "basic.consume", queue: pick(a, "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.x"), tag: "c1", flags: pick(a, "", "no-ack", "no-ack exclusive")}
	},
	func(a *author) *operation {
		return &operation{do: "queue.bind", queue: a.queue(), exchange: pick(a, "", "@nosuch", "amq.headers"), key: "a",
			args: table{"x-match": pick[any](a, "some", int32(1))}}
	},
	func(a *author) *operation {
		return &operation{do: "basic.get", queue: pick(a, "amq.rabbitmq.reply-to", "@nosuch", "amq.what")}
	},
	func(a *author) *operation {
		return &operation{do: "queue.purge", queue: pick(a, "amq.rabbitmq.reply-to", "@nosuch")}
	},
	func(a *author) *operation {
		return &operation{do: "queue.declare", queue: "@odd", args: table{"odd": pick[any](a, amqp.Decimal{Scale: 2, Value: 314}, []any{}, table{}, nil, float32(1))}}
	},
}
