package differential_test

import "strings"

// Each of these methods of the generator adds one operation.

func (g *generator) declareQueue() {
	o := &operation{do: "queue.declare", queue: pick(g, "@q1", "@q2", "@q3"), args: g.arguments(g.theme.args)}
	if g.theme.name == "quorum" {
		o.flags = "durable"
	} else {
		exclusive := 8
		if e, ok := g.theme.more["exclusive"]; ok {
			exclusive = e
		}
		o.flags = g.flags("durable", g.theme.durable, "exclusive", exclusive, "auto-delete", 8, "nowait", 4)
		if g.percent(5) {
			o.queue, o.flags = "", strings.ReplaceAll(o.flags, "nowait", "")
		}
	}
	g.add(o)
	name := o.queue
	if name == "" {
		name = "$" + itoa(o.id)
	}
	g.queues = append(g.queues, name)
}

func (g *generator) declareExchange() {
	o := &operation{do: "exchange.declare", exchange: pick(g, "@e1", "@e2", "@e3"),
		kind: pick(g, "direct", "fanout", "topic", "topic", "headers", "direct"), args: table{}}
	o.flags = g.flags("durable", g.theme.durable, "auto-delete", 15, "internal", 8, "nowait", 4)
	if g.percent(15) {
		o.args["alternate-exchange"] = pick(g, "@e1", "@e2", "@e3", "amq.fanout", "@nosuch")
	}
	g.add(o)
	g.exchanges = append(g.exchanges, o.exchange)
	g.kinds[o.exchange] = o.kind
}

func (g *generator) bindingArgs(exchange string) table {
	t := table{}
	if g.kinds[exchange] == "headers" || exchange == "amq.headers" || exchange == "amq.match" || g.percent(5) {
		for range g.IntN(3) {
			t[pick(g, "h1", "h2", "x-h3")] = g.headerValue()
		}
		if g.percent(75) {
			t["x-match"] = pick(g, "all", "any")
		} else if g.percent(20) {
			t["x-match"] = pick[any](g, "some", int32(1), "all-with-x", "any-with-x")
		}
	}
	return t
}

func (g *generator) headerValue() any {
	return pick[any](g, "v1", "v1", "v2", int32(1), int64(1), true, nil, "")
}

func (g *generator) bindQueue() {
	x := g.exchange()
	g.add(&operation{do: "queue.bind", queue: g.queue(), exchange: x, key: g.bindingKey(), args: g.bindingArgs(x), flags: g.flags("nowait", 4)})
}

func (g *generator) bindExchange() {
	x := g.exchange()
	g.add(&operation{do: "exchange.bind", exchange: g.exchange(), source: x, key: g.bindingKey(), args: g.bindingArgs(x), flags: g.flags("nowait", 4)})
}

// unbind takes back a binding that the program has made, mostly.
func (g *generator) unbind() {
	var made []*operation
	for _, o := range g.ops {
		if o.do == "queue.bind" || o.do == "exchange.bind" {
			made = append(made, o)
		}
	}
	if len(made) == 0 {
		return
	}
	o := *pick(g, made...)
	o.do = strings.Replace(o.do, "bind", "unbind", 1)
	o.conn, o.channel, o.flags = 0, 0, ""
	if g.percent(15) {
		o.key = g.bindingKey()
	}
	g.add(&o)
}

func (g *generator) publish() {
	o := &operation{do: "publish", size: pick(g, 3, 12, 12, 20, 20, 60, 300), props: table{}, flags: g.flags("mandatory", 25)}
	if len(g.queues) > 0 && g.percent(60) {
		o.key = pick(g, g.queues...)
	} else {
		o.exchange, o.key = g.exchange(), g.key()
	}
	switch {
	case g.percent(25) && !g.lettered:
		// Otherwise messages that die because of it may come to a queue among the others or
		// behind them.
		o.count = 2 + g.IntN(8)
	case g.percent(4):
		o.size = pick(g, 0, 8183, 8184, 8185, 20000)
	}
	g.properties(o)
	g.add(o)
}

func (g *generator) properties(o *operation) {
	p := o.props
	if g.percent(60) {
		p["delivery-mode"] = pick[uint8](g, 1, 2, 2)
	}
	if g.theme.name == "priorities" && g.percent(85) || g.percent(10) {
		p["priority"] = pick[uint8](g, 0, 1, 2, 3, 4, 5, 9, 255)
	}
	if g.theme.name == "time" && g.percent(40) || g.percent(3) {
		p["expiration"] = pick(g, "0", itoa(soon), itoa(soon), itoa(never))
		// In a queue with priorities, RabbitMQ may find out only at the next get.
		if p["expiration"] == itoa(soon) && g.ranked {
			p["expiration"] = itoa(never)
		} else if p["expiration"] == itoa(soon) {
			g.hurried = true
			g.expiring()
		}
	}
	if g.percent(25) {
		h := table{}
		for range g.IntN(4) {
			h[pick(g, "h1", "h2", "x-h3", "other")] = g.headerValue()
		}
		if g.percent(6) {
			h["CC"] = []any{pick(g, "a", "b", "@q1")}
		}
		if g.percent(6) {
			h["BCC"] = []any{pick(g, "a", "b"), "c"}
		}
		if g.percent(10) {
			h["deep"] = table{"list": []any{int32(1), "two", table{"x": true}}, "float": 1.5}
		}
		p["headers"] = h
	}
	if g.percent(15) {
		p[pick(g, "content-type", "content-encoding", "correlation-id", "reply-to", "message-id", "type", "app-id", "cluster-id")] = pick(g, "x", "", "some text")
	}
	if g.percent(5) {
		p["timestamp"] = int64(1700000000)
	}
	if g.theme.name == "errors" && g.percent(15) || g.percent(2) {
		p["user-id"] = pick(g, "guest", "guest", "somebody")
	}
}

func (g *generator) get() {
	g.add(&operation{do: "basic.get", queue: g.queue(), flags: g.flags("no-ack", 40)})
}

func (g *generator) consume() {
	o := &operation{do: "basic.consume", queue: g.queue(), tag: pick(g, "c1", "c2", "c3", ""), flags: g.flags("exclusive", 6, "no-local", 2)}
	if g.percent(25) && g.theme.name != "quorum" {
		o.flags += " no-ack"
	}
	if o.tag != "" {
		o.flags += g.flags("nowait", 4)
	}
	if g.percent(10) || g.theme.name == "consumers" && g.percent(25) {
		o.args = table{"x-priority": pick[any](g, int32(1), int32(10), int32(-5), int64(1))}
	}
	g.add(o)
}

func (g *generator) cancel() {
	o := &operation{do: "basic.cancel", tag: pick(g, "c1", "c2", "c3", "c9"), flags: g.flags("nowait", 6)}
	for _, made := range g.ops {
		if made.do == "basic.consume" && made.tag != "" && g.percent(40) {
			o.conn, o.channel, o.tag = made.conn, made.channel, made.tag
		}
	}
	g.add(o)
}

// settle answers a delivery on a channel that is likely to have one.
func (g *generator) settle() {
	o := &operation{do: pick(g, "ack", "ack", "nack", "reject"), n: g.IntN(5)}
	switch o.do {
	case "ack":
		o.flags = g.flags("multiple", 25)
	case "nack":
		o.flags = g.flags("multiple", 25, "requeue", 65)
	case "reject":
		o.flags = g.flags("requeue", 60)
	}
	if o.has("multiple") && g.percent(15) {
		o.flags += " all"
	}
	var holders []*operation
	for _, made := range g.ops {
		if (made.do == "basic.consume" || made.do == "basic.get") && !made.has("no-ack") {
			holders = append(holders, made)
		}
	}
	if len(holders) > 0 && g.percent(95) {
		made := pick(g, holders...)
		o.conn, o.channel = made.conn, made.channel
	}
	g.add(o)
}

func (g *generator) settleWrongly() {
	g.add(&operation{do: pick(g, "ack-unknown", "nack-unknown", "reject-unknown"), n: pick(g, 0, 999, 1), flags: g.flags("multiple", 50, "requeue", 50)})
}

func (g *generator) recover() {
	o := &operation{do: pick(g, "basic.recover", "basic.recover", "basic.recover", "basic.recover-async"), flags: g.flags("requeue", 93)}
	for _, made := range g.ops {
		if made.do == "basic.consume" && g.percent(50) {
			o.conn, o.channel = made.conn, made.channel
		}
	}
	g.add(o)
}

func (g *generator) qos() {
	o := &operation{do: "basic.qos", n: pick(g, 0, 1, 1, 2, 3, 10)}
	if g.percent(25) {
		o.flags = "global"
	}
	if g.percent(2) {
		o.size = 100
	}
	g.add(o)
}

func (g *generator) purge() {
	g.add(&operation{do: "queue.purge", queue: g.queue(), flags: g.flags("nowait", 5)})
}

func (g *generator) deleteQueue() {
	o := &operation{do: "queue.delete", queue: g.queue(), flags: g.flags("if-empty", 25, "nowait", 5)}
	if g.theme.name != "quorum" {
		o.flags += g.flags("if-unused", 25)
	}
	g.add(o)
}

func (g *generator) deleteExchange() {
	g.add(&operation{do: "exchange.delete", exchange: g.exchange(), flags: g.flags("if-unused", 30, "nowait", 5)})
}

func (g *generator) passive() {
	if g.percent(50) {
		g.add(&operation{do: "queue.declare", queue: g.queue(), flags: "passive" + g.flags("nowait", 10)})
		return
	}
	g.add(&operation{do: "exchange.declare", exchange: g.exchange(), kind: pick(g, "direct", "", "topic", "what"), flags: "passive"})
}

func (g *generator) closeChannel() { g.add(&operation{do: "channel.close"}) }

func (g *generator) closeConnection() { g.add(&operation{do: pick(g, "connection.close", "abort")}) }

func (g *generator) selectMode(channel uint16) {
	do := pick(g, "confirm.select", "tx.select")
	switch g.theme.name {
	case "confirms", "lengths":
		do = "confirm.select"
	case "transactions":
		do = "tx.select"
	}
	g.add(&operation{do: do, channel: channel})
}

func (g *generator) changeMode() { g.selectMode(0) }

func (g *generator) commit() { g.add(&operation{do: pick(g, "tx.commit", "tx.commit", "tx.rollback")}) }

func (g *generator) raw() { g.add(&operation{do: "raw", kind: pick(g, alike(broken)...)}) }

func (g *generator) handshake() {
	g.add(&operation{do: "handshake", kind: pick(g, alike(handshakes)...)})
}

func (g *generator) flow() { g.add(&operation{do: "channel.flow", n: pick(g, 1, 1, 0)}) }

func (g *generator) wait() {
	g.ticking = 0
	g.add(&operation{do: "wait", channel: 1, n: later})
}

func (g *generator) badArgument() { g.add(pick(g, badArguments...)(g)) }

// replyTo begins to take direct replies, or asks for one.
func (g *generator) replyTo() {
	if g.percent(40) {
		g.add(&operation{do: "basic.consume", queue: "amq.rabbitmq.reply-to", tag: pick(g, "r1", "r1", "r2", ""), flags: g.flags("no-ack", 90)})
		return
	}
	o := &operation{do: "publish", size: 12, key: g.queue(), props: table{"reply-to": "amq.rabbitmq.reply-to"}, flags: g.flags("mandatory", 30)}
	if g.percent(20) {
		o.key = "amq.rabbitmq.reply-to"
	}
	g.add(o)
}

// reply publishes to the last reply address that came.
func (g *generator) reply() {
	g.add(&operation{do: "publish", size: 12, key: "&", flags: g.flags("mandatory", 50)})
}
