package main

// sender says which peer may send a method.
type sender byte

const (
	client sender = 1 << iota
	server
	either = client | server
)

// class is one class of AMQP 0-9-1, in the order of the specification.
type class struct {
	name    string
	id      uint16
	methods []method
}

// method is one row of the method table.
type method struct {
	name    string
	id      uint16
	from    sender
	args    string   // "name:type …" in wire order; a leading "-" marks a reserved one
	replies []string // the methods of the class that answer it; empty if it is not synchronous
	content bool     // a content header and bodies follow it
	doc     string   // what it does, as the end of the sentence "X …"
}

// replies keeps the rows of the table short.
func replies(names ...string) []string { return names }

// The close methods of connection and channel have the same arguments.
const closeArgs = "reply-code:short reply-text:shortstr class-id:short method-id:short"

// classes is the whole method set: AMQP 0-9-1 (amqp0-9-1.xml) and RabbitMQ's
// extensions, which are marked. Class access (30) is absent: 0-9-1 dropped it,
// and no client of the last decade sends it. exchange.declare has auto-delete
// and internal where 0-9-1 has two reserved bits: RabbitMQ kept them from 0-9.
var classes = []class{
	{"connection", 10, []method{
		{name: "start", id: 10, from: server, replies: replies("start-ok"),
			args: "version-major:octet version-minor:octet server-properties:table mechanisms:longstr locales:longstr",
			doc:  "opens the negotiation: the protocol version and what the server can do."},
		{name: "start-ok", id: 11, from: client,
			args: "client-properties:table mechanism:shortstr response:longstr locale:shortstr",
			doc:  "selects the security mechanism and locale."},
		{name: "secure", id: 20, from: server, replies: replies("secure-ok"), args: "challenge:longstr",
			doc: "carries a further challenge of the security mechanism."},
		{name: "secure-ok", id: 21, from: client, args: "response:longstr",
			doc: "answers a challenge."},
		{name: "tune", id: 30, from: server, replies: replies("tune-ok"),
			args: "channel-max:short frame-max:long heartbeat:short",
			doc:  "proposes limits; 0 means no limit. Heartbeat is in seconds."},
		{name: "tune-ok", id: 31, from: client, args: "channel-max:short frame-max:long heartbeat:short",
			doc: "settles the limits."},
		{name: "open", id: 40, from: client, replies: replies("open-ok"),
			args: "virtual-host:shortstr -reserved-1:shortstr -reserved-2:bit",
			doc:  "opens a virtual host."},
		{name: "open-ok", id: 41, from: server, args: "-reserved-1:shortstr",
			doc: "says that the connection is ready."},
		{name: "close", id: 50, from: either, replies: replies("close-ok"), args: closeArgs,
			doc: "ends the connection; ClassID and MethodID name the method that caused it, or are 0."},
		{name: "close-ok", id: 51, from: either,
			doc: "confirms the end of the connection; nothing follows it."},
		{name: "blocked", id: 60, from: server, args: "reason:shortstr",
			doc: "says that the broker takes no publishes for now (RabbitMQ extension)."},
		{name: "unblocked", id: 61, from: server,
			doc: "says that the broker takes publishes again (RabbitMQ extension)."},
		{name: "update-secret", id: 70, from: client, replies: replies("update-secret-ok"),
			args: "new-secret:longstr reason:shortstr",
			doc:  "replaces a credential that is about to expire (RabbitMQ extension)."},
		{name: "update-secret-ok", id: 71, from: server,
			doc: "confirms the new credential (RabbitMQ extension)."},
	}},
	{"channel", 20, []method{
		{name: "open", id: 10, from: client, replies: replies("open-ok"), args: "-reserved-1:shortstr",
			doc: "opens a channel."},
		{name: "open-ok", id: 11, from: server, args: "-reserved-1:longstr",
			doc: "says that the channel is ready."},
		{name: "flow", id: 20, from: either, replies: replies("flow-ok"), args: "active:bit",
			doc: "pauses or resumes the peer's content on this channel."},
		{name: "flow-ok", id: 21, from: either, args: "active:bit",
			doc: "confirms a flow method."},
		{name: "close", id: 40, from: either, replies: replies("close-ok"), args: closeArgs,
			doc: "ends the channel; ClassID and MethodID name the method that caused it, or are 0."},
		{name: "close-ok", id: 41, from: either,
			doc: "confirms the end of the channel."},
	}},
	{"exchange", 40, []method{
		{name: "declare", id: 10, from: client, replies: replies("declare-ok"),
			args: "-reserved-1:short exchange:shortstr type:shortstr passive:bit durable:bit auto-delete:bit internal:bit no-wait:bit arguments:table",
			doc:  "creates an exchange or checks that it exists."},
		{name: "declare-ok", id: 11, from: server,
			doc: "confirms a declaration."},
		{name: "delete", id: 20, from: client, replies: replies("delete-ok"),
			args: "-reserved-1:short exchange:shortstr if-unused:bit no-wait:bit",
			doc:  "deletes an exchange."},
		{name: "delete-ok", id: 21, from: server,
			doc: "confirms a deletion."},
		{name: "bind", id: 30, from: client, replies: replies("bind-ok"),
			args: "-reserved-1:short destination:shortstr source:shortstr routing-key:shortstr no-wait:bit arguments:table",
			doc:  "binds an exchange to an exchange (RabbitMQ extension)."},
		{name: "bind-ok", id: 31, from: server,
			doc: "confirms a binding (RabbitMQ extension)."},
		{name: "unbind", id: 40, from: client, replies: replies("unbind-ok"),
			args: "-reserved-1:short destination:shortstr source:shortstr routing-key:shortstr no-wait:bit arguments:table",
			doc:  "removes an exchange's binding to an exchange (RabbitMQ extension)."},
		// 51 and not 41: the number is RabbitMQ's.
		{name: "unbind-ok", id: 51, from: server,
			doc: "confirms a removal (RabbitMQ extension)."},
	}},
	{"queue", 50, []method{
		{name: "declare", id: 10, from: client, replies: replies("declare-ok"),
			args: "-reserved-1:short queue:shortstr passive:bit durable:bit exclusive:bit auto-delete:bit no-wait:bit arguments:table",
			doc:  "creates a queue or checks that it exists; an empty name lets the server choose one."},
		{name: "declare-ok", id: 11, from: server,
			args: "queue:shortstr message-count:long consumer-count:long",
			doc:  "confirms a declaration and names the queue."},
		{name: "bind", id: 20, from: client, replies: replies("bind-ok"),
			args: "-reserved-1:short queue:shortstr exchange:shortstr routing-key:shortstr no-wait:bit arguments:table",
			doc:  "binds a queue to an exchange."},
		{name: "bind-ok", id: 21, from: server,
			doc: "confirms a binding."},
		{name: "purge", id: 30, from: client, replies: replies("purge-ok"),
			args: "-reserved-1:short queue:shortstr no-wait:bit",
			doc:  "drops the messages of a queue that await no acknowledgement."},
		{name: "purge-ok", id: 31, from: server, args: "message-count:long",
			doc: "confirms a purge."},
		{name: "delete", id: 40, from: client, replies: replies("delete-ok"),
			args: "-reserved-1:short queue:shortstr if-unused:bit if-empty:bit no-wait:bit",
			doc:  "deletes a queue."},
		{name: "delete-ok", id: 41, from: server, args: "message-count:long",
			doc: "confirms a deletion."},
		{name: "unbind", id: 50, from: client, replies: replies("unbind-ok"),
			args: "-reserved-1:short queue:shortstr exchange:shortstr routing-key:shortstr arguments:table",
			doc:  "removes a queue's binding."},
		{name: "unbind-ok", id: 51, from: server,
			doc: "confirms a removal."},
	}},
	{"basic", 60, []method{
		{name: "qos", id: 10, from: client, replies: replies("qos-ok"),
			args: "prefetch-size:long prefetch-count:short global:bit",
			doc:  "bounds the unacknowledged deliveries. RabbitMQ: per consumer, or per channel with Global."},
		{name: "qos-ok", id: 11, from: server,
			doc: "confirms a qos."},
		{name: "consume", id: 20, from: client, replies: replies("consume-ok"),
			args: "-reserved-1:short queue:shortstr consumer-tag:shortstr no-local:bit no-ack:bit exclusive:bit no-wait:bit arguments:table",
			doc:  "starts a consumer."},
		{name: "consume-ok", id: 21, from: server, args: "consumer-tag:shortstr",
			doc: "confirms a consumer and names it."},
		// The server sends it too: RabbitMQ's consumer cancel notification.
		{name: "cancel", id: 30, from: either, replies: replies("cancel-ok"), args: "consumer-tag:shortstr no-wait:bit",
			doc: "ends a consumer. From a server: the queue has gone (RabbitMQ extension)."},
		{name: "cancel-ok", id: 31, from: either, args: "consumer-tag:shortstr",
			doc: "confirms the end of a consumer."},
		{name: "publish", id: 40, from: client, content: true,
			args: "-reserved-1:short exchange:shortstr routing-key:shortstr mandatory:bit immediate:bit",
			doc:  "sends a message to an exchange."},
		{name: "return", id: 50, from: server, content: true,
			args: "reply-code:short reply-text:shortstr exchange:shortstr routing-key:shortstr",
			doc:  "gives back a message that could not be routed."},
		{name: "deliver", id: 60, from: server, content: true,
			args: "consumer-tag:shortstr delivery-tag:longlong redelivered:bit exchange:shortstr routing-key:shortstr",
			doc:  "brings a message to a consumer."},
		{name: "get", id: 70, from: client, replies: replies("get-ok", "get-empty"),
			args: "-reserved-1:short queue:shortstr no-ack:bit",
			doc:  "asks for one message."},
		{name: "get-ok", id: 71, from: server, content: true,
			args: "delivery-tag:longlong redelivered:bit exchange:shortstr routing-key:shortstr message-count:long",
			doc:  "brings the message asked for."},
		{name: "get-empty", id: 72, from: server, args: "-reserved-1:shortstr",
			doc: "says that there was no message."},
		// The server sends ack and nack too: they are RabbitMQ's publisher confirms.
		{name: "ack", id: 80, from: either, args: "delivery-tag:longlong multiple:bit",
			doc: "acknowledges one delivery or, with Multiple, all up to it; from a server, publishes."},
		{name: "reject", id: 90, from: client, args: "delivery-tag:longlong requeue:bit",
			doc: "refuses a delivery."},
		{name: "recover-async", id: 100, from: client, args: "requeue:bit",
			doc: "asks for redelivery without an answer; deprecated by the specification."},
		{name: "recover", id: 110, from: client, replies: replies("recover-ok"), args: "requeue:bit",
			doc: "asks for redelivery of all that is unacknowledged."},
		{name: "recover-ok", id: 111, from: server,
			doc: "confirms a recover."},
		{name: "nack", id: 120, from: either, args: "delivery-tag:longlong multiple:bit requeue:bit",
			doc: "refuses one or more deliveries (RabbitMQ extension); from a server, publishes it could not take."},
	}},
	{"confirm", 85, []method{
		{name: "select", id: 10, from: client, replies: replies("select-ok"), args: "no-wait:bit",
			doc: "asks for publisher confirms on this channel (RabbitMQ extension)."},
		{name: "select-ok", id: 11, from: server,
			doc: "confirms a select (RabbitMQ extension)."},
	}},
	{"tx", 90, []method{
		{name: "select", id: 10, from: client, replies: replies("select-ok"),
			doc: "puts the channel in transaction mode."},
		{name: "select-ok", id: 11, from: server,
			doc: "confirms a select."},
		{name: "commit", id: 20, from: client, replies: replies("commit-ok"),
			doc: "commits the transaction."},
		{name: "commit-ok", id: 21, from: server,
			doc: "confirms a commit."},
		{name: "rollback", id: 30, from: client, replies: replies("rollback-ok"),
			doc: "abandons the transaction."},
		{name: "rollback-ok", id: 31, from: server,
			doc: "confirms a rollback."},
	}},
}
