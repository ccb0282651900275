package client_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

// pieceMax is how many octets of one body a turn may handle at most.
const pieceMax = 1<<20 + 128<<10

func largeBody(t *testing.T) []byte {
	n := 48<<20 + 12345
	if testing.Short() {
		n = 6<<20 + 12345
	}
	body := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(body[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	return body
}

// keeper keeps the deliveries that it may keep, and acks them.
type keeper struct{ bodies [][]byte }

func (k *keeper) Deliver(d *client.Delivery) {
	if d.Owned {
		k.bodies = append(k.bodies, d.Body)
	} else {
		k.bodies = append(k.bodies, bytes.Clone(d.Body))
	}
	d.Consumer.Ack(d.Epoch, d.Tag)
}

// A large publish is encoded as the socket takes it, and what comes behind it keeps
// its place.
func TestLargePublishLeavesInPieces(t *testing.T) {
	body := largeBody(t)
	d := newDirect(t, client.Config{PublishMax: 1 << 30}, &acker{})
	var done counter
	o := client.Outgoing{RoutingKey: "q", Body: body, Lent: true}
	raw, small := typicalProperties(t), make([]byte, 256)
	var stream []byte
	publish := func(o client.Outgoing) {
		t.Helper()
		if err := d.client.Publish(nil, &o, &done); err != nil {
			t.Fatal(err)
		}
	}
	publish(o)
	publish(client.Outgoing{RoutingKey: "q", RawProperties: raw, Body: small})
	most, allocated := 0, uint64(0)
	deliveries := appendDeliveries(nil, 1, raw, small)
	for turn := 0; ; turn++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out := d.turn(deliveries)
		runtime.ReadMemStats(&after)
		deliveries = nil
		allocated = max(allocated, after.TotalAlloc-before.TotalAlloc)
		if most = max(most, len(out)); len(out) == 0 {
			break
		}
		stream = append(stream, out...)
	}
	if most > pieceMax || allocated > 4*pieceMax {
		t.Errorf("%d octets left and %d were allocated in one turn, want at most %d and %d", most, allocated, pieceMax, 4*pieceMax)
	}
	var got []byte
	var order []string
	for len(stream) > 0 {
		f, n, err := amqpproto.CutFrame(stream, 131072)
		if n == 0 || err != nil {
			t.Fatal(n, err)
		}
		stream = stream[n:]
		switch {
		case f.Type == amqpproto.FrameBody && len(got) < len(body):
			got = append(got, f.Payload...)
		case f.Type == amqpproto.FrameMethod:
			id, _, _ := f.Method()
			order = append(order, id.String())
			if len(got) != 0 && len(got) < len(body) && f.Channel == publishChannel {
				t.Fatalf("%s in the middle of a body", f)
			}
		}
	}
	if !bytes.Equal(got, body) {
		t.Errorf("%d octets of body came that are not the body", len(got))
	}
	if len(order) != 3 || order[0] != "basic.publish" {
		t.Errorf("methods %v, want the publishes and an ack", order)
	}
}

// A large delivery is assembled as it arrives, counts from its first octet, and may be kept
// by the sink.
func TestLargeDeliveryIsPutTogetherInPieces(t *testing.T) {
	body := largeBody(t)
	k := &keeper{}
	d := newDirect(t, client.Config{}, k)
	parts := amqpproto.AppendBasicDeliver(nil, consumeChannel, "c", 1, false, "orders", "order.created")
	parts = amqpproto.AppendContentHeader(parts, consumeChannel, amqpproto.ClassBasic, uint64(len(body)), []byte{0, 0})
	parts = amqpproto.AppendBody(parts, consumeChannel, body, 131072)
	feed := func(until int) {
		t.Helper()
		for at := 0; at < until; {
			n := min(256<<10, until-at)
			before := d.client.Coming()
			took, err := d.conn.Feed(parts[at : at+n])
			if err != nil {
				t.Fatal(err)
			}
			if at += took; took == 0 {
				return // half a frame
			}
			d.flush()
			coming := d.client.Coming()
			if coming-before > pieceMax {
				t.Fatalf("%d octets of a body were copied in one turn, want at most %d", coming-before, pieceMax)
			}
			if at > 1<<20 && at < len(parts) && (coming < at-128<<10-256 || coming > 2*at) {
				t.Fatalf("%d octets are counted when %d have come", coming, at)
			}
		}
	}
	feed(len(parts))
	if len(k.bodies) != 1 || !bytes.Equal(k.bodies[0], body) {
		t.Fatalf("%d deliveries, or another body", len(k.bodies))
	}
	if n := d.client.Coming(); n != 0 {
		t.Errorf("%d octets are counted when the body is whole", n)
	}
	binary.BigEndian.PutUint64(parts[7+4+1+len("c"):], 2)
	feed(len(parts) / 2)
	d.conn.Lost(errors.New("pulled"))
	if n := d.client.Coming(); n != 0 {
		t.Errorf("%d octets are counted when the connection is gone", n)
	}
}
