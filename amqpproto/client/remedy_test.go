package client_test

import (
	"errors"
	"strings"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

// refuses closes the channel of a method with RabbitMQ's text.
func (f *fixture) refuses(id amqpproto.MethodID, code uint16, text string) {
	f.broker.on[id] = func(ch uint16, _ amqpproto.Method) bool {
		f.broker.closing[ch] = true
		f.broker.say(ch, &amqpproto.ChannelClose{ReplyCode: code, ReplyText: []byte(text), ClassID: id.Class(), MethodID: id.Method()})
		return true
	}
}

// TestRemediesOfRefusals: every refusal says what to do.
func TestRemediesOfRefusals(t *testing.T) {
	const exchange = "ACCESS_REFUSED - access to exchange 'e' in vhost '/' refused for user 'u'"
	const queue = "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'"
	for _, row := range []struct {
		id   amqpproto.MethodID
		code uint16
		text string
		want string
	}{
		{amqpproto.IDBasicPublish, 403, exchange, "give the user write permission on the exchange"},
		{amqpproto.IDBasicPublish, 403, "ACCESS_REFUSED - cannot publish to internal exchange 'e' in vhost '/'", "publish to an exchange that it is bound to"},
		{amqpproto.IDBasicPublish, 404, "NOT_FOUND - no exchange 'e' in vhost '/'", "declare it, or check its name and the vhost"},
		{amqpproto.IDBasicPublish, 406, "PRECONDITION_FAILED - user_id property set to 'a' but authenticated user was 'b'", "was 'b' (basic.publish)"},
		{amqpproto.IDBasicPublish, 406, "PRECONDITION_FAILED - message size 2000 is larger than configured max size 1000", "or raise max_message_size in the broker's configuration"},
		{amqpproto.IDBasicGet, 403, queue, "give the user read permission on the queue"},
		{amqpproto.IDBasicConsume, 403, queue, "give the user read permission on the queue"},
		{amqpproto.IDExchangeDeclare, 406, "PRECONDITION_FAILED - unknown exchange type 'mystery'", "or enable the plugin that brings this type"}, // RabbitMQ 4
		{amqpproto.IDQueueDeclare, 403, queue, "give the user configure permission on it, and if it names a dead-letter or alternate exchange, read on it and write on that"},
		{amqpproto.IDQueueDeclare, 403, "ACCESS_REFUSED - queue name 'amq.q' contains reserved prefix 'amq.*'", "choose another"},
		{amqpproto.IDQueueBind, 403, exchange, "give the user write permission on the queue and read permission on the exchange"},
		{amqpproto.IDExchangeBind, 403, exchange, "read permission on the one it is bound to"},
	} {
		f := newFixture(t, 0, client.Config{}).connect()
		f.refuses(row.id, row.code, row.text)
		var err error
		switch row.id {
		case amqpproto.IDBasicPublish:
			done := &numbered{t: t}
			f.publish(nil, client.Outgoing{Exchange: "e"}, done)
			f.run()
			err = done.err
		case amqpproto.IDBasicGet:
			if e := f.client.Get("q", true, func(_ *client.Delivery, e error) { err = e }); e != nil {
				t.Fatal(e)
			}
			f.run()
		default:
			k := f.client.Consume(client.ConsumerSpec{Name: "k", Prefetch: 1, Topology: client.Topology{
				Exchanges:        []client.Exchange{{Name: "e", Type: "fanout"}},
				Queues:           []client.Queue{{Name: "q"}},
				Bindings:         []client.Binding{{Queue: "q", Exchange: "e"}},
				ExchangeBindings: []client.ExchangeBinding{{Destination: "e", Source: "amq.topic"}},
			}}, &sink{})
			f.run()
			err = k.Err()
		}
		var ce *amqpproto.ChannelError
		if !errors.As(err, &ce) || ce.Code != row.code || !strings.HasSuffix(err.Error(), row.want) {
			t.Errorf("%s: %v\nwant …%s", row.id, err, row.want)
		}
	}
}
