package endpoint_test

import (
	"testing"

	"zamqp/amqpproto/endpoint"
)

const second = int64(1e9)

// ticker calls Tick, and checks that it does not ask for a time that is over.
func ticker(t *testing.T, h *endpoint.Heartbeat, at int64, idle, readPaused bool) (send, dead bool) {
	t.Helper()
	send, dead, next := h.Tick(at, idle, readPaused)
	if !dead && next <= at {
		t.Fatalf("at %d: next is %d", at, next)
	}
	return send, dead
}

// TestHeartbeatOfALongUpload: a loop does not read a peer whose output piles up,
// so octets that leave a full buffer count as life.
func TestHeartbeatOfALongUpload(t *testing.T) {
	h := endpoint.Heartbeat{Interval: 10 * second}
	tick := func(at int64, idle bool) (send, dead bool) { return ticker(t, &h, at, idle, false) }
	tick(1*second, true)
	for at := int64(2); at < 100; at += 5 { // nothing comes, but a backlog drains
		h.Left(at*second, 1000, 50000)
		if send, dead := tick(at*second, false); send || dead {
			t.Fatalf("at %d: send %v, dead %v", at, send, dead)
		}
	}
	if _, dead := tick(116*second, false); dead {
		t.Fatal("dead too early")
	}
	if _, dead := tick(118*second, false); !dead {
		t.Fatal("a backlog that does not move is no life")
	}
	h = endpoint.Heartbeat{Interval: 10 * second}
	tick(200*second, true)
	h.Left(205*second, 8, 0) // our own heartbeat leaves into a kernel's buffer
	tick(205*second, true)
	h.Left(210*second, 8, 0)
	tick(210*second, true)
	if _, dead := tick(220*second, true); !dead {
		t.Fatal("sending alone is no life")
	}
	h = endpoint.Heartbeat{}
	if send, dead, next := h.Tick(1000*second, true, false); send || dead || next != 0 {
		t.Fatal("heartbeats that were not agreed")
	}
}

// An incomplete frame that is offered again is no sign of life; one octet more is.
func TestHeartbeatOfAnIncompleteFrame(t *testing.T) {
	h := endpoint.Heartbeat{Interval: 10 * second}
	ticker(t, &h, 1*second, true, false)
	h.Fed(7, 7)
	ticker(t, &h, 5*second, true, false)
	for at := int64(6); at < 25; at += 6 {
		if h.Fed(7, 7); h.Heard() {
			t.Fatal("the same octets were heard twice")
		}
		ticker(t, &h, at*second, true, false)
	}
	if _, dead := ticker(t, &h, 25*second, true, false); !dead {
		t.Fatal("nothing new came for two intervals")
	}
	if h.Fed(8, 8); !h.Heard() {
		t.Fatal("a new octet was not heard")
	}
	if _, dead := ticker(t, &h, 26*second, true, false); dead {
		t.Fatal("an octet came just now")
	}
}

// A peer that is not read on purpose is not dead for being silent, and has two
// intervals from the moment at which it is read again.
func TestHeartbeatOfAPeerThatIsNotRead(t *testing.T) {
	h := endpoint.Heartbeat{Interval: 10 * second}
	ticker(t, &h, 1*second, true, false)
	for at := int64(5); at <= 100; at += 5 {
		send, dead := ticker(t, &h, at*second, true, true)
		if dead || send != (at >= 6) {
			t.Fatalf("at %d: send %v, dead %v", at, send, dead)
		}
	}
	if _, dead := ticker(t, &h, 119*second, true, false); dead {
		t.Fatal("dead too early")
	}
	if _, dead := ticker(t, &h, 120*second, true, false); !dead {
		t.Fatal("silent for two intervals, and read meanwhile")
	}
}
