package differential_test

import "strings"

// The deeds of an author: each adds one operation.

func (a *author) declareQueue() {
	o := &operation{do: "queue.declare", queue: pick(a, "@q1", "@q2", "@q3"), args: a.arguments(a.theme.args)}
	if a.theme.name == "quorum" {
		o.flags = "durable"
	} else {
		exclusive := 8
		if e, ok := a.theme.more["exclusive"]; ok {
			exclusive = e
		}
		o.flags = a.flags("durable", a.theme.durable, "exclusive", exclusive, "auto-delete", 8, "nowait", 4)
		if a.percent(5) {
			o.queue, o.flags = "", strings.ReplaceAll(o.flags, "nowait", "")
		}
	}
	a.add(o)
	name := o.queue
	if name == "" {
		name = "$" + itoa(o.id)
	}
	a.queues = append(a.queues, name)
}

func (a *author) declareExchange() {
	o := &operation{do: "exchange.declare", exchange: pick(a, "@e1", "@e2", "@e3"),
		kind: pick(a, "direct", "fanout", "topic", "topic", "headers", "direct"), args: table{}}
	o.flags = a.flags("durable", a.theme.durable, "auto-delete", 15, "internal", 8, "nowait", 4)
	if a.percent(15) {
		o.args["alternate-exchange"] = pick(a, "@e1", "@e2", "@e3", "amq.fanout", "@nosuch")
	}
	a.add(o)
	a.exchanges = append(a.exchanges, o.exchange)
	a.kinds[o.exchange] = o.kind
}

func (a *author) bindingArgs(exchange string) table {
	t := table{}
	if a.kinds[exchange] == "headers" || exchange == "amq.headers" || exchange == "amq.match" || a.percent(5) {
		for range a.IntN(3) {
			t[pick(a, "h1", "h2", "x-h3")] = a.headerValue()
		}
		if a.percent(75) {
			t["x-match"] = pick(a, "all", "any")
		} else if a.percent(20) {
			t["x-match"] = pick[any](a, "some", int32(1), "all-with-x", "any-with-x")
		}
	}
	return t
}

func (a *author) headerValue() any {
	return pick[any](a, "v1", "v1", "v2", int32(1), int64(1), true, nil, "")
}

func (a *author) bindQueue() {
	x := a.exchange()
	a.add(&operation{do: "queue.bind", queue: a.queue(), exchange: x, key: a.bindingKey(), args: a.bindingArgs(x), flags: a.flags("nowait", 4)})
}

func (a *author) bindExchange() {
	x := a.exchange()
	a.add(&operation{do: "exchange.bind", exchange: a.exchange(), source: x, key: a.bindingKey(), args: a.bindingArgs(x), flags: a.flags("nowait", 4)})
}

// unbind takes back a binding that the program has made, mostly.
func (a *author) unbind() {
	var made []*operation
	for _, o := range a.ops {
		if o.do == "queue.bind" || o.do == "exchange.bind" {
			made = append(made, o)
		}
	}
	if len(made) == 0 {
		return
	}
	o := *pick(a, made...)
	o.do = strings.Replace(o.do, "bind", "unbind", 1)
	o.conn, o.channel, o.flags = 0, 0, ""
	if a.percent(15) {
		o.key = a.bindingKey()
	}
	a.add(&o)
}

func (a *author) publish() {
	o := &operation{do: "publish", size: pick(a, 3, 12, 12, 20, 20, 60, 300), props: table{}, flags: a.flags("mandatory", 25)}
	if len(a.queues) > 0 && a.percent(60) {
		o.key = pick(a, a.queues...)
	} else {
		o.exchange, o.key = a.exchange(), a.key()
	}
	switch {
	case a.percent(25) && !a.lettered:
		// Else what dies of it may come to a queue among the rest or behind it.
		o.count = 2 + a.IntN(8)
	case a.percent(4):
		o.size = pick(a, 0, 8183, 8184, 8185, 20000)
	}
	a.properties(o)
	a.add(o)
}

func (a *author) properties(o *operation) {
	p := o.props
	if a.percent(60) {
		p["delivery-mode"] = pick[uint8](a, 1, 2, 2)
	}
	if a.theme.name == "priorities" && a.percent(85) || a.percent(10) {
		p["priority"] = pick[uint8](a, 0, 1, 2, 3, 4, 5, 9, 255)
	}
	if a.theme.name == "time" && a.percent(40) || a.percent(3) {
		p["expiration"] = pick(a, "0", itoa(soon), itoa(soon), itoa(never))
		// In a queue with priorities, RabbitMQ may find out only at the next get.
		if p["expiration"] == itoa(soon) && a.ranked {
			p["expiration"] = itoa(never)
		} else if p["expiration"] == itoa(soon) {
			a.hurried = true
			a.expiring()
		}
	}
	if a.percent(25) {
		h := table{}
		for range a.IntN(4) {
			h[pick(a, "h1", "h2", "x-h3", "other")] = a.headerValue()
		}
		if a.percent(6) {
			h["CC"] = []any{pick(a, "a", "b", "@q1")}
		}
		if a.percent(6) {
			h["BCC"] = []any{pick(a, "a", "b"), "c"}
		}
		if a.percent(10) {
			h["deep"] = table{"list": []any{int32(1), "two", table{"x": true}}, "float": 1.5}
		}
		p["headers"] = h
	}
	if a.percent(15) {
		p[pick(a, "content-type", "content-encoding", "correlation-id", "reply-to", "message-id", "type", "app-id", "cluster-id")] = pick(a, "x", "", "some text")
	}
	if a.percent(5) {
		p["timestamp"] = int64(1700000000)
	}
	if a.theme.name == "errors" && a.percent(15) || a.percent(2) {
		p["user-id"] = pick(a, "guest", "guest", "somebody")
	}
}

func (a *author) get() {
	a.add(&operation{do: "basic.get", queue: a.queue(), flags: a.flags("no-ack", 40)})
}

func (a *author) consume() {
	o := &operation{do: "basic.consume", queue: a.queue(), tag: pick(a, "c1", "c2", "c3", ""), flags: a.flags("exclusive", 6, "no-local", 2)}
	if a.percent(25) && a.theme.name != "quorum" {
		o.flags += " no-ack"
	}
	if o.tag != "" {
		o.flags += a.flags("nowait", 4)
	}
	if a.percent(10) || a.theme.name == "consumers" && a.percent(25) {
		o.args = table{"x-priority": pick[any](a, int32(1), int32(10), int32(-5), int64(1))}
	}
	a.add(o)
}

func (a *author) cancel() {
	o := &operation{do: "basic.cancel", tag: pick(a, "c1", "c2", "c3", "c9"), flags: a.flags("nowait", 6)}
	for _, made := range a.ops {
		if made.do == "basic.consume" && made.tag != "" && a.percent(40) {
			o.conn, o.channel, o.tag = made.conn, made.channel, made.tag
		}
	}
	a.add(o)
}

// settle answers a delivery on a channel that is likely to have one.
func (a *author) settle() {
	o := &operation{do: pick(a, "ack", "ack", "nack", "reject"), n: a.IntN(5)}
	switch o.do {
	case "ack":
		o.flags = a.flags("multiple", 25)
	case "nack":
		o.flags = a.flags("multiple", 25, "requeue", 65)
	case "reject":
		o.flags = a.flags("requeue", 60)
	}
	if o.has("multiple") && a.percent(15) {
		o.flags += " all"
	}
	var holders []*operation
	for _, made := range a.ops {
		if (made.do == "basic.consume" || made.do == "basic.get") && !made.has("no-ack") {
			holders = append(holders, made)
		}
	}
	if len(holders) > 0 && a.percent(95) {
		made := pick(a, holders...)
		o.conn, o.channel = made.conn, made.channel
	}
	a.add(o)
}

func (a *author) settleWrongly() {
	a.add(&operation{do: pick(a, "ack-unknown", "nack-unknown", "reject-unknown"), n: pick(a, 0, 999, 1), flags: a.flags("multiple", 50, "requeue", 50)})
}

func (a *author) recover() {
	o := &operation{do: pick(a, "basic.recover", "basic.recover", "basic.recover", "basic.recover-async"), flags: a.flags("requeue", 93)}
	for _, made := range a.ops {
		if made.do == "basic.consume" && a.percent(50) {
			o.conn, o.channel = made.conn, made.channel
		}
	}
	a.add(o)
}

func (a *author) qos() {
	o := &operation{do: "basic.qos", n: pick(a, 0, 1, 1, 2, 3, 10)}
	if a.percent(25) {
		o.flags = "global"
	}
	if a.percent(2) {
		o.size = 100
	}
	a.add(o)
}

func (a *author) purge() {
	a.add(&operation{do: "queue.purge", queue: a.queue(), flags: a.flags("nowait", 5)})
}

func (a *author) deleteQueue() {
	o := &operation{do: "queue.delete", queue: a.queue(), flags: a.flags("if-empty", 25, "nowait", 5)}
	if a.theme.name != "quorum" {
		o.flags += a.flags("if-unused", 25)
	}
	a.add(o)
}

func (a *author) deleteExchange() {
	a.add(&operation{do: "exchange.delete", exchange: a.exchange(), flags: a.flags("if-unused", 30, "nowait", 5)})
}

func (a *author) passive() {
	if a.percent(50) {
		a.add(&operation{do: "queue.declare", queue: a.queue(), flags: "passive" + a.flags("nowait", 10)})
		return
	}
	a.add(&operation{do: "exchange.declare", exchange: a.exchange(), kind: pick(a, "direct", "", "topic", "what"), flags: "passive"})
}

func (a *author) closeChannel() { a.add(&operation{do: "channel.close"}) }

func (a *author) closeConnection() { a.add(&operation{do: pick(a, "connection.close", "abort")}) }

func (a *author) selectMode(channel uint16) {
	do := pick(a, "confirm.select", "tx.select")
	switch a.theme.name {
	case "confirms", "lengths":
		do = "confirm.select"
	case "transactions":
		do = "tx.select"
	}
	a.add(&operation{do: do, channel: channel})
}

func (a *author) changeMode() { a.selectMode(0) }

func (a *author) commit() { a.add(&operation{do: pick(a, "tx.commit", "tx.commit", "tx.rollback")}) }

func (a *author) raw() { a.add(&operation{do: "raw", kind: pick(a, alike(broken)...)}) }

func (a *author) handshake() {
	a.add(&operation{do: "handshake", kind: pick(a, alike(handshakes)...)})
}

func (a *author) flow() { a.add(&operation{do: "channel.flow", n: pick(a, 1, 1, 0)}) }

func (a *author) wait() {
	a.ticking = 0
	a.add(&operation{do: "wait", channel: 1, n: later})
}

func (a *author) badArgument() { a.add(pick(a, badArguments...)(a)) }

// replyTo begins to take direct replies, or asks for one.
func (a *author) replyTo() {
	if a.percent(40) {
		a.add(&operation{do: "basic.consume", queue: "amq.rabbitmq.reply-to", tag: pick(a, "r1", "r1", "r2", ""), flags: a.flags("no-ack", 90)})
		return
	}
	o := &operation{do: "publish", size: 12, key: a.queue(), props: table{"reply-to": "amq.rabbitmq.reply-to"}, flags: a.flags("mandatory", 30)}
	if a.percent(20) {
		o.key = "amq.rabbitmq.reply-to"
	}
	a.add(o)
}

// reply publishes to the last reply address that came.
func (a *author) reply() {
	a.add(&operation{do: "publish", size: 12, key: "&", flags: a.flags("mandatory", 50)})
}
