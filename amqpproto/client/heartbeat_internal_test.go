package client

import "testing"

// TestHeartbeatOfALongUpload: a loop does not read a peer whose output piles up,
// so octets that leave a full buffer count as life; internal, as only the times
// of single writes tell the cases apart.
func TestHeartbeatOfALongUpload(t *testing.T) {
	const second = int64(1e9)
	h := heartbeat{interval: 10 * second}
	now := second
	tick := func(at int64, idle bool) (send, dead bool) {
		now = at
		send, dead, next := h.tick(now, idle)
		if !dead && next <= now {
			t.Fatalf("at %d: next is %d", now, next)
		}
		return send, dead
	}
	tick(1*second, true)
	for at := int64(2); at < 100; at += 5 { // nothing comes, but a backlog drains
		h.left(at*second, 1000, 50000)
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
	h = heartbeat{interval: 10 * second}
	tick(200*second, true)
	h.left(205*second, 8, 0) // our own heartbeat leaves into a kernel's buffer
	tick(205*second, true)
	h.left(210*second, 8, 0)
	tick(210*second, true)
	if _, dead := tick(220*second, true); !dead {
		t.Fatal("sending alone is no life")
	}
	h = heartbeat{}
	if send, dead, next := h.tick(1000*second, true); send || dead || next != 0 {
		t.Fatal("heartbeats that were not agreed")
	}
}
