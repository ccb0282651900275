package broker

import (
	"errors"
	"strings"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// wantFault checks an error's reply code and text, all of RabbitMQ 3.10.8's.
func wantFault(t *testing.T, err error, code uint16, text string) {
	t.Helper()
	var channel *amqpproto.ChannelError
	var conn *amqpproto.ConnectionError
	switch {
	case code == 0 && err == nil:
		return
	case errors.As(err, &channel) && channel.Code == code && channel.Text == text:
		return
	case errors.As(err, &conn) && conn.Code == code && conn.Text == text:
		return
	}
	t.Errorf("got\n%v\nwant %d\n%s", err, code, text)
}

func TestDeclareQueueFaults(t *testing.T) {
	for _, row := range []struct {
		args amqp.Table
		text string // after "invalid "; "" = accepted
	}{
		{nil, ""},
		{amqp.Table{"x-unknown": "fine"}, ""},
		{amqp.Table{"x-queue-mode": "lazy", "x-queue-version": int32(2), "x-queue-type": "classic"}, ""},
		{amqp.Table{"x-max-length": int32(0), "x-message-ttl": int64(0), "x-max-priority": int32(0)}, ""},
		{amqp.Table{"x-queue-type": "foo"}, `arg 'x-queue-type' for Q: "unsupported queue type 'foo'"`},
		{amqp.Table{"x-queue-type": int32(1)}, "arg 'x-queue-type' for Q: {unacceptable_type,signedint}"},
		{amqp.Table{"x-message-ttl": int32(-1)}, "arg 'x-message-ttl' for Q: {value_negative,-1}"},
		{amqp.Table{"x-message-ttl": "a"}, `arg 'x-message-ttl' for Q: "expected integer, got longstr"`},
		{amqp.Table{"x-message-ttl": 1.5}, `arg 'x-message-ttl' for Q: "expected integer, got double"`},
		{amqp.Table{"x-message-ttl": int64(999999999999)}, "arg 'x-message-ttl' for Q: {value_too_large,999999999999}"},
		{amqp.Table{"x-expires": int32(0)}, "arg 'x-expires' for Q: {value_zero,0}"},
		{amqp.Table{"x-max-priority": int32(300)}, "arg 'x-max-priority' for Q: {max_value_exceeded,300}"},
		{amqp.Table{"x-max-length": []any{"a", int32(1)}}, `arg 'x-max-length' for Q: "expected integer, got array"`},
		{amqp.Table{"x-overflow": "zz"}, "arg 'x-overflow' for Q: invalid_overflow"},
		{amqp.Table{"x-overflow": true}, "arg 'x-overflow' for Q: {unacceptable_type,bool}"},
		{amqp.Table{"x-dead-letter-routing-key": "x"}, "arg 'x-dead-letter-routing-key' for Q: routing_key_but_no_dlx_defined"},
		{amqp.Table{"x-dead-letter-exchange": int32(1)}, "type 'signedint' for arg 'x-dead-letter-exchange' in Q"},
		{amqp.Table{"x-queue-mode": "zz"}, `arg 'x-queue-mode' for Q: "unsupported queue mode 'zz'"`},
		{amqp.Table{"x-queue-version": int32(3)}, `arg 'x-queue-version' for Q: "unsupported queue version '3'"`},
		{amqp.Table{"x-delivery-limit": int32(1)}, "arg 'x-delivery-limit' for Q of queue type rabbit_classic_queue"},
		{amqp.Table{"x-max-age": "1h"}, "arg 'x-max-age' for Q of queue type rabbit_classic_queue"},
		{amqp.Table{"x-queue-leader-locator": "zz"}, "arg 'x-queue-leader-locator' for Q of queue type rabbit_classic_queue"},
		{amqp.Table{"x-single-active-consumer": "a"}, "arg 'x-single-active-consumer' for Q: {unacceptable_type,longstr}"},
		{amqp.Table{"x-queue-type": "quorum"}, "property 'non-durable' for Q"},
		{amqp.Table{"x-queue-type": "quorum", "x-max-priority": int32(3)}, "arg 'x-max-priority' for Q of queue type rabbit_quorum_queue"},
	} {
		b := newBench(t)
		q, err := b.v.declareQueue(queueSpec{name: "q", args: rawTable(t, row.args)}, nil)
		if row.text == "" {
			wantFault(t, err, 0, "")
			if q == nil || b.v.queues["q"] != q {
				t.Errorf("%v: no queue", row.args)
			}
			continue
		}
		wantFault(t, err, 406, "invalid "+strings.Replace(row.text, "Q", "queue 'q' in vhost '/'", 1))
		if len(b.v.queues) != 0 {
			t.Errorf("%v: there is a queue", row.args)
		}
	}
}

func TestDeclareQueueAgain(t *testing.T) {
	for _, row := range []struct {
		first, then amqp.Table
		text        string
	}{
		{amqp.Table{"x-message-ttl": int32(5)}, amqp.Table{"x-message-ttl": int64(5)}, ""},
		{amqp.Table{"x-queue-type": "classic"}, nil, ""},
		{nil, amqp.Table{"x-queue-type": "classic"}, ""},
		{amqp.Table{"x-unknown": "a"}, amqp.Table{"x-unknown": "b"}, ""},
		{nil, amqp.Table{"x-message-ttl": int32(5)},
			"'x-message-ttl' for Q: received the value '5' of type 'signedint' but current is none"},
		{amqp.Table{"x-message-ttl": int32(5)}, amqp.Table{"x-message-ttl": int64(6)},
			"'x-message-ttl' for Q: received '6' but current is '5'"},
		{amqp.Table{"x-single-active-consumer": true}, nil,
			"'x-single-active-consumer' for Q: received none but current is the value 'true' of type 'bool'"},
		{amqp.Table{"x-dead-letter-exchange": "a"}, amqp.Table{"x-dead-letter-exchange": "b"},
			"'x-dead-letter-exchange' for Q: received 'b' but current is 'a'"},
		{nil, amqp.Table{"x-queue-type": "quorum"},
			"'x-queue-type' for Q: received the value 'quorum' of type 'longstr' but current is none"},
		{amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": int32(3)}, amqp.Table{"x-queue-type": "quorum"},
			"'x-delivery-limit' for Q: received none but current is the value '3' of type 'signedint'"},
	} {
		b := newBench(t)
		q := b.queue("q", row.first)
		again, err := b.v.declareQueue(queueSpec{name: "q", durable: true, args: rawTable(t, row.then)}, nil)
		if row.text == "" {
			wantFault(t, err, 0, "")
			if again != q {
				t.Errorf("%v, then %v: another queue", row.first, row.then)
			}
			continue
		}
		wantFault(t, err, 406, "inequivalent arg "+strings.Replace(row.text, "Q", "queue 'q' in vhost '/'", 1))
	}
}

func TestDeclareQueueProperties(t *testing.T) {
	b := newBench(t)
	b.queue("q", nil)
	me, other := &Conn{}, &Conn{}
	const lockedText = "cannot obtain exclusive access to locked queue 'NAME' in vhost '/'. It could be originally declared on another" +
		" connection or the exclusive property value does not match that of the original declaration."
	declare := func(c *Conn, spec queueSpec) error {
		_, err := b.v.declareQueue(spec, c)
		return err
	}
	wantFault(t, declare(me, queueSpec{name: "q"}), 406, "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'")
	wantFault(t, declare(me, queueSpec{name: "q", durable: true, autoDelete: true}), 406,
		"inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'")
	wantFault(t, declare(me, queueSpec{name: "q", durable: true, exclusive: true}), 405, strings.Replace(lockedText, "NAME", "q", 1))
	wantFault(t, declare(me, queueSpec{name: "amq.x"}), 403, "queue name 'amq.x' contains reserved prefix 'amq.*'")
	wantFault(t, declare(me, queueSpec{args: rawTable(t, amqp.Table{"x-queue-type": "quorum"})}), 406,
		"Cannot declare a server-named queue for type rabbit_quorum_queue")
	wantFault(t, declare(me, queueSpec{name: "mine", exclusive: true}), 0, "")
	wantFault(t, declare(me, queueSpec{name: "mi\r\nne", exclusive: true, durable: true}), 0, "") // the same
	wantFault(t, declare(me, queueSpec{name: "mine"}), 405, strings.Replace(lockedText, "NAME", "mine", 1))
	wantFault(t, declare(other, queueSpec{name: "mine", exclusive: true}), 405, strings.Replace(lockedText, "NAME", "mine", 1))
	_, err := b.v.needQueue([]byte("mine"), other)
	wantFault(t, err, 405, strings.Replace(lockedText, "NAME", "mine", 1))
	_, err = b.v.needQueue([]byte("none"), other)
	wantFault(t, err, 404, "no queue 'none' in vhost '/'")
	_, err = b.v.deleteQueue([]byte("mine"), other, false, false)
	wantFault(t, err, 405, strings.Replace(lockedText, "NAME", "mine", 1))
	q, err := b.v.declareQueue(queueSpec{exclusive: true}, me)
	if err != nil || !strings.HasPrefix(q.name, "amq.gen-") || len(q.name) != len("amq.gen-JzTY20BRgKO-HjmUJj0wLg") {
		t.Errorf("server-named: %v %v", q, err)
	}
	b.v.dropOwner(me)
	if len(b.v.queues) != 1 || len(b.v.owned) != 0 {
		t.Errorf("%d queues left, %d owners", len(b.v.queues), len(b.v.owned))
	}
	b.end()
}

func TestDeleteQueue(t *testing.T) {
	b := newBench(t)
	q := b.queue("q", nil)
	b.publish("", "q", amqp.Publishing{Body: []byte("1")})
	_, err := b.v.deleteQueue([]byte("q"), nil, false, true)
	wantFault(t, err, 406, "queue 'q' in vhost '/' not empty")
	k := &taker{bench: b, prefetch: 1}
	c := &consumer{tag: "c", to: k}
	if err := q.consume(c); err != nil {
		t.Fatal(err)
	}
	_, err = b.v.deleteQueue([]byte("q"), nil, true, false)
	wantFault(t, err, 406, "queue 'q' in vhost '/' in use")
	q.wake(c)
	b.publish("", "q", amqp.Publishing{Body: []byte("2")})
	n, err := b.v.deleteQueue([]byte("q"), nil, false, false)
	if n != 1 || err != nil || len(k.ended) != 1 || !q.gone {
		t.Errorf("deleted with %d messages, %v, %q cancelled", n, err, k.ended)
	}
	q.wake(c)
	q.cancel(c)
	q.requeue(k.held) // to nowhere
	if n, err = b.v.deleteQueue([]byte("q"), nil, true, true); n != 0 || err != nil {
		t.Errorf("a second time: %d, %v", n, err)
	}
	b.queue("quorum", amqp.Table{"x-queue-type": "quorum"})
	_, err = b.v.deleteQueue([]byte("quorum"), nil, true, false)
	wantFault(t, err, 540, "cannot delete queue 'quorum' in vhost '/'. queue.delete operations with if-unused flag set are not supported by quorum queues")
	b.end()
}

func TestExchangeFaults(t *testing.T) {
	b := newBench(t)
	b.queue("q", nil)
	declare := func(spec exchangeSpec) error {
		_, err := b.v.declareExchange(spec)
		return err
	}
	bind := func(queue, exchange string, args amqp.Table) error {
		return b.v.bindQueue([]byte(queue), []byte(exchange), []byte("k"), rawTable(t, args), nil)
	}
	for _, row := range []struct {
		err  error
		code uint16
		text string
	}{
		{declare(exchangeSpec{name: "x", kind: "foo"}), 503, "unknown exchange type 'foo'"},
		{declare(exchangeSpec{name: "", kind: "direct"}), 403, "operation not permitted on the default exchange"},
		{declare(exchangeSpec{name: "amq.foo", kind: "direct"}), 403, "exchange name 'amq.foo' contains reserved prefix 'amq.*'"},
		{declare(exchangeSpec{name: "amq.direct", kind: "fanout", durable: true}), 406,
			"inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': received 'fanout' but current is 'direct'"},
		{declare(exchangeSpec{name: "amq.direct", kind: "direct"}), 406,
			"inequivalent arg 'durable' for exchange 'amq.direct' in vhost '/': received 'false' but current is 'true'"},
		{declare(exchangeSpec{name: "amq.rabbitmq.trace", kind: "topic", durable: true, internal: true}), 0, ""},
		{declare(exchangeSpec{name: "ae", kind: "direct", args: rawTable(t, amqp.Table{"alternate-exchange": int32(1)})}), 406,
			"invalid type 'signedint' for arg 'alternate-exchange' in exchange 'ae' in vhost '/'"},
		{b.v.checkExchange([]byte("none")), 404, "no exchange 'none' in vhost '/'"},
		{b.v.deleteExchange([]byte("none"), false), 0, ""},
		{b.v.deleteExchange([]byte("amq.direct"), false), 403, "deletion of system exchange 'amq.direct' in vhost '/' not allowed"},
		{b.v.deleteExchange(nil, false), 403, "operation not permitted on the default exchange"},
		{bind("none", "none", nil), 404, "no exchange 'none' in vhost '/'"},
		{bind("none", "amq.direct", nil), 404, "no queue 'none' in vhost '/'"},
		{bind("q", "", nil), 403, "operation not permitted on the default exchange"},
		{bind("q", "amq.headers", amqp.Table{"x-match": "foo"}), 406,
			`Invalid x-match field value <<"foo">>; expected all, any, all-with-x, or any-with-x`},
		{bind("q", "amq.headers", amqp.Table{"x-match": int32(4)}), 406, "Invalid x-match field type signedint (value 4); expected longstr"},
		{bind("q", "amq.direct", amqp.Table{"x-match": int32(4)}), 0, ""},
		{b.v.unbindQueue([]byte("q"), []byte("none"), []byte("k"), nil, nil), 0, ""},
		{b.v.unbindQueue([]byte("q"), []byte("amq.direct"), []byte("other"), nil, nil), 0, ""},
		{b.v.bindExchange(nil, []byte("amq.direct"), nil, nil), 403, "operation not permitted on the default exchange"},
	} {
		wantFault(t, row.err, row.code, row.text)
	}
	b.end()
}
