package client_test

import (
	"runtime"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

const (
	requestChannelNumber = 3 // as they are opened below
	getChannel           = 4
	askChannel           = 5
)

// FuzzClient feeds arbitrary octets after a handshake, in two cuts. There is no panic, Feed
// takes no more than there is, every accepted publish gets exactly one outcome, and the
// allocated memory is limited by the input.
func FuzzClient(f *testing.F) {
	add := func(ms ...[]byte) {
		var all []byte
		for _, m := range ms {
			all = append(all, m...)
		}
		f.Add(all, uint16(len(all)/2))
	}
	add(delivery(consumeChannel, "c", 1, "hello"), delivery(consumeChannel, "c", 2, ""))
	add(method(f, publishChannel, &amqpproto.BasicAck{DeliveryTag: 1}), method(f, publishChannel, &amqpproto.BasicNack{DeliveryTag: 3, Multiple: true}))
	add(method(f, publishChannel, &amqpproto.BasicReturn{ReplyCode: 312, RoutingKey: []byte("q")}),
		amqpproto.AppendContentHeader(nil, publishChannel, 60, 1, []byte{0, 0}), amqpproto.AppendBody(nil, publishChannel, []byte("x"), 4096))
	add(method(f, consumeChannel, &amqpproto.BasicCancel{ConsumerTag: []byte("c"), NoWait: true}))
	add(method(f, consumeChannel, &amqpproto.ChannelClose{ReplyCode: 404, ReplyText: []byte("gone")}), method(f, consumeChannel, &amqpproto.ChannelOpenOk{}))
	add(method(f, publishChannel, &amqpproto.ChannelClose{ReplyCode: 404}), method(f, publishChannel, &amqpproto.ChannelOpenOk{}))
	add(method(f, 0, &amqpproto.ConnectionBlocked{Reason: []byte("r")}), amqpproto.AppendHeartbeat(nil), method(f, 0, &amqpproto.ConnectionUnblocked{}))
	add(method(f, 0, &amqpproto.ConnectionClose{ReplyCode: 320}))
	add(amqpproto.AppendBasicDeliver(nil, consumeChannel, "c", 1, true, "", "q"),
		amqpproto.AppendContentHeader(nil, consumeChannel, 60, 1<<40, []byte{0, 0}))
	add(amqpproto.AppendBasicDeliver(nil, consumeChannel, "c", 1, true, "", "q"),
		amqpproto.AppendContentHeader(nil, consumeChannel, 60, 1<<26, []byte{0, 0}), amqpproto.AppendBody(nil, consumeChannel, []byte("x"), 4096))
	const header = amqpproto.FrameHeader
	add(amqpproto.AppendBasicDeliver(nil, consumeChannel, "c", 1, true, "", "q"), []byte{header, 0, consumeChannel, 0x07, 0, 0, 0, 0, 60})
	add(amqpproto.AppendBasicDeliver(nil, consumeChannel, "c", 1, true, "", "q"), []byte{header, 0, consumeChannel, 0x7f, 0, 0, 0, 0, 60})
	add(amqpproto.AppendBasicDeliver(nil, consumeChannel, "c", 1, true, "", "q"),
		amqpproto.AppendContentHeader(nil, consumeChannel, 60, 1, append([]byte{0, 0}, make([]byte, 140_000)...)), amqpproto.AppendBody(nil, consumeChannel, []byte("x"), 4096))
	add(method(f, publishChannel, &amqpproto.ChannelFlow{}), method(f, 0, &amqpproto.ConnectionCloseOk{}))
	add(method(f, getChannel, &amqpproto.ChannelOpenOk{}), method(f, getChannel, &amqpproto.BasicGetOk{DeliveryTag: 1}),
		amqpproto.AppendContentHeader(nil, getChannel, 60, 1, []byte{0, 0}), amqpproto.AppendBody(nil, getChannel, []byte("x"), 4096))
	add(method(f, getChannel, &amqpproto.ChannelOpenOk{}), method(f, getChannel, &amqpproto.BasicGetEmpty{}), method(f, getChannel, &amqpproto.BasicGetEmpty{}))
	add(method(f, askChannel, &amqpproto.ChannelOpenOk{}), method(f, askChannel, &amqpproto.QueueDeclareOk{Queue: []byte("q")}))
	add(method(f, requestChannelNumber, &amqpproto.ChannelOpenOk{}), method(f, requestChannelNumber, &amqpproto.ConfirmSelectOk{}),
		method(f, requestChannelNumber, &amqpproto.BasicConsumeOk{ConsumerTag: []byte("t")}), delivery(requestChannelNumber, "t", 1, "x"),
		method(f, requestChannelNumber, &amqpproto.BasicNack{Multiple: true}), method(f, requestChannelNumber, &amqpproto.BasicAck{DeliveryTag: 1}))
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		d := newDirect(t, client.Config{}, &acker{})
		confirms := &counter{}
		const total = 3
		for range total {
			if err := d.client.Publish(nil, &client.Outgoing{RoutingKey: "q", Mandatory: true, Body: []byte("x")}, confirms); err != nil {
				t.Fatal(err)
			}
		}
		requests, asked := &replyCounter{}, 0
		if _, err := d.client.Request(nil, &client.Outgoing{RoutingKey: "q", Body: []byte("x")}, time.Hour, requests); err != nil {
			t.Fatal(err)
		}
		must(t, d.client.Get("q", false, func(d *client.Delivery, _ error) {
			if asked++; d != nil {
				d.Acknowledger.Ack(d.Epoch, d.Tag)
			}
		}))
		must(t, d.client.QueueInfo("q", func(_, _ uint32, _ error) { asked++ }))
		d.flush()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rest := in[:min(int(cut), len(in))]
		late := in[len(rest):]
		for {
			n, err := d.conn.Feed(rest)
			if n < 0 || n > len(rest) {
				t.Fatalf("took %d of %d", n, len(rest))
			}
			d.now = d.now.Add(time.Second)
			d.flush()
			if err != nil {
				break
			}
			rest = rest[n:]
			if len(late) == 0 {
				break
			}
			rest, late = append(rest[:len(rest):len(rest)], late...), nil
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20+uint64(len(in))*64 {
			t.Fatalf("%d octets allocated for %d", got, len(in))
		}
		d.conn.Lost(nil)
		d.client.Close(nil)
		if n, octets := d.client.Unconfirmed(); n != 0 || octets != 0 || confirms.ok+confirms.failed != total {
			t.Fatalf("%d publishes and %d octets are left, %+v", n, octets, *confirms)
		}
		if requests.ok+requests.failed != 1 || asked != 2 || d.client.Requests() != 0 {
			t.Fatalf("requests %+v, %d questions were answered", *requests, asked)
		}
	})
}

// FuzzHandshake feeds arbitrary octets from the first on.
func FuzzHandshake(f *testing.F) {
	start := method(f, 0, &amqpproto.ConnectionStart{VersionMinor: 9, Mechanisms: []byte("PLAIN"), Locales: []byte("en_US")})
	tune := method(f, 0, &amqpproto.ConnectionTune{ChannelMax: 3, FrameMax: 4096})
	f.Add([]byte("AMQP\x00\x01\x00\x00"))
	f.Add(append(append(start, tune...), method(f, 0, &amqpproto.ConnectionOpenOk{})...))
	f.Add(append(start, method(f, 0, &amqpproto.ConnectionClose{ReplyCode: 403})...))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := client.New(client.Config{}, quiet{})
		conn := c.Connect(silentWire{})
		now := time.Unix(0, 0)
		for i := 1; i <= 2; i++ {
			end := len(in) * i / 2
			n, err := conn.Feed(in[:end])
			if n < 0 || n > end {
				t.Fatalf("took %d of %d", n, end)
			}
			conn.Tick(now)
			conn.Sent(len(conn.Pending()))
			if err != nil {
				break
			}
			in = in[n:]
			if i == 1 {
				in = append(in[:len(in):len(in)], in...)
			}
		}
		conn.Lost(nil)
		if c.State() != client.Disconnected || c.Err() == nil {
			t.Fatal(c.State(), c.Err())
		}
	})
}
