package client_test

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

// failing is the way in which a broker refuses a connection.
func failing(id amqpproto.MethodID, do func(b *fakeBroker)) func(*fakeBroker) {
	return func(b *fakeBroker) {
		b.on[id] = func(uint16, amqpproto.Method) bool {
			do(b)
			return true
		}
	}
}

func says(code uint16, text string) func(*fakeBroker) {
	return func(b *fakeBroker) { b.say(0, &amqpproto.ConnectionClose{ReplyCode: code, ReplyText: []byte(text)}) }
}

func hangsUp(b *fakeBroker) { b.script.Close() }

// TestPauses: how long the client waits between the dials of an outage, by the result of
// each. A broker that is away is tried each second, within half a second; other pauses grow.
func TestPauses(t *testing.T) {
	start, tune, open := amqpproto.IDConnectionStart, amqpproto.IDConnectionStartOk, amqpproto.IDConnectionOpen
	for _, row := range []struct {
		name   string
		broker func(*fakeBroker) // nil: nobody takes the dial
		each   time.Duration     // passes in one try, beside the pause
		// The longest pause of the tries that begin in these times after the loss.
		first, later, day time.Duration
	}{
		{"refused", nil, 0, time.Second, 2 * time.Second, time.Minute},
		{"no answer to the dial", nil, 3 * time.Second, time.Second, 2 * time.Second, time.Minute},
		{"accepts and closes, as a proxy", failing(start, hangsUp), 0, time.Second, 2 * time.Second, time.Minute},
		{"a vhost that is down", failing(open, says(541, "INTERNAL_ERROR - access to vhost '/' refused: vhost '/' is down")), 0, time.Second, time.Minute, time.Minute},
		{"a vhost that is not there", failing(open, says(530, "NOT_ALLOWED - vhost / not found")), 0, time.Second, time.Minute, time.Minute},
		{"hangs up at the vhost", failing(open, hangsUp), 0, time.Second, time.Minute, time.Minute},
		{"a wrong password", failing(tune, says(403, "ACCESS_REFUSED - login refused")), 0, 32 * time.Second, time.Minute, time.Minute},
		{"hangs up at the login", failing(tune, hangsUp), 0, 32 * time.Second, time.Minute, time.Minute},
		{"no broker", func(b *fakeBroker) {
			b.on[start] = func(uint16, amqpproto.Method) bool {
				b.script.Say([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")...)
				return true
			}
		}, 0, 32 * time.Second, time.Minute, time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, 1, client.Config{}).connect()
			f.manual, f.prepare = true, row.broker
			f.clock.Advance(time.Hour)
			f.link.Cut(syscall.ECONNRESET)
			longest := map[string]time.Duration{}
			tries := map[string]int{}
			for lost := f.clock.Now(); ; {
				after := f.redials[len(f.redials)-1]
				span := "day"
				switch at := f.clock.Now().Sub(lost); {
				case at < 25*time.Second:
					span = "first"
				case at < 15*time.Minute:
					span = "later"
				case at > 12*time.Hour:
					for span, want := range map[string]time.Duration{"first": row.first, "later": row.later, "day": row.day} {
						if got := longest[span]; got > want || got < want/4 {
							t.Errorf("%s: a pause of %v, want up to %v", span, got, want)
						}
					}
					if n := tries["first"]; row.first <= time.Second && row.each == 0 && (n < 25 || n > 51) {
						t.Errorf("%d tries in the first 25 s", n)
					}
					return
				}
				longest[span] = max(longest[span], after)
				tries[span]++
				f.clock.Advance(after)
				f.clock.Advance(row.each)
				if row.broker == nil {
					f.client.DialFailed(errors.New("connection refused"))
				} else {
					f.connect()
				}
			}
		})
	}
}

// TestQuickPausesDoNotHideARefusedLogin: of two nodes one is away behind a proxy, and the
// other refuses the password. The logins stay rare.
func TestQuickPausesDoNotHideARefusedLogin(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	logins := 0
	dials := 0
	f.prepare = func(b *fakeBroker) {
		if dials++; dials%2 == 0 {
			failing(amqpproto.IDConnectionStart, hangsUp)(b)
			return
		}
		failing(amqpproto.IDConnectionStartOk, func(b *fakeBroker) {
			logins++
			says(403, "ACCESS_REFUSED - login refused")(b)
		})(b)
	}
	f.connect()
	f.clock.Advance(10 * time.Minute)
	if logins < 10 || logins > 40 {
		t.Fatalf("%d logins in 10 minutes", logins)
	}
}

// TestDropsAreNotStormed: a broker that opens connections and drops them is tried each second
// while it may be settling, then ever more rarely; one that keeps them for a while is not.
func TestDropsAreNotStormed(t *testing.T) {
	for _, row := range []struct {
		life     time.Duration
		min, max uint64 // connects in 20 minutes
	}{{0, 40, 120}, {11 * time.Second, 80, 110}} {
		f := newFixture(t, 0, client.Config{})
		cut := func() { f.link.Cut(errors.New("pulled")) }
		f.prepare = func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionOpen] = func(ch uint16, m amqpproto.Method) bool {
				f.clock.After(row.life+time.Millisecond, cut)
				return false
			}
		}
		f.connect()
		f.clock.Advance(20 * time.Minute)
		if n := f.client.Stats().Connects; n < row.min || n > row.max {
			t.Errorf("%d connects of %v each", n, row.life)
		}
	}
}

// TestDialTimeout: a dial does not wait long while the outage may soon be over.
func TestDialTimeout(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	f.manual = true
	for _, row := range []struct{ away, want time.Duration }{
		{0, 3 * time.Second}, {time.Minute, 3 * time.Second}, {4 * time.Minute, 15 * time.Second}, {10 * time.Minute, 30 * time.Second},
	} {
		f.clock.Advance(row.away)
		if got := f.client.DialTimeout(); got < row.want || got > row.want+time.Second {
			t.Errorf("%v after %v more", got, row.away)
		}
	}
	// It bounds the greeting as well, and the rest of a handshake has its own time.
	f = newFixture(t, 0, client.Config{})
	f.manual = true
	f.prepare = failing(amqpproto.IDConnectionStart, func(*fakeBroker) {})
	f.connect()
	f.clock.Advance(4 * time.Second)
	if f.client.State() != client.Disconnected || len(f.redials) != 1 || f.redials[0] > time.Second {
		t.Fatal(f.client.State(), f.redials)
	}
	f.prepare = failing(amqpproto.IDConnectionOpen, func(*fakeBroker) {})
	f.connect()
	f.clock.Advance(29 * time.Second)
	if f.client.State() != client.Connecting {
		t.Fatal(f.client.Err())
	}
}

// TestRegistrationsComeBackSoon: a queue that does not exist yet when the broker has come
// back is tried each second; a refused declaration keeps its own growing pause.
func TestRegistrationsComeBackSoon(t *testing.T) {
	for _, row := range []struct {
		code     uint16
		text     string
		min, max int // tries in ten minutes
	}{
		{404, "NOT_FOUND - home node 'rabbit@b' of durable queue 'q' in vhost '/' is down or inaccessible", 500, 1200},
		{404, "NOT_FOUND - no queue 'q' in vhost '/'", 40, 75},
		{405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'", 40, 75},
		{406, "PRECONDITION_FAILED - inequivalent arg 'durable'", 10, 30},
	} {
		t.Run(fmt.Sprint(row.code, " ", row.text[:20]), func(t *testing.T) {
			f := newFixture(t, 0, client.Config{})
			there := true
			f.prepare = func(b *fakeBroker) {
				b.on[amqpproto.IDQueueDeclare] = func(ch uint16, m amqpproto.Method) bool {
					if there {
						return false
					}
					b.closeChannel(ch, row.code, row.text)
					return true
				}
			}
			k := f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, &sink{})
			f.connect()
			f.clock.Advance(time.Hour)
			there = false
			f.link.Cut(errors.New("pulled"))
			f.clock.Advance(10 * time.Minute)
			if n := f.count(client.EventConsumerFailed); n < row.min || n > row.max {
				t.Fatalf("%d tries", n)
			}
			// Another restart, of a broker that has the queue again.
			there = true
			f.link.Cut(errors.New("pulled"))
			f.clock.Advance(2 * time.Second)
			if k.State() != client.Up {
				t.Fatal(k, k.Err())
			}
		})
	}
}

// TestDialRefused: a bad certificate costs the broker more than a refused connection.
func TestDialRefused(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	f.manual = true
	for range 100 {
		f.client.DialRefused(errors.New("certificate has expired"))
	}
	if longest := slices.Max(f.redials); longest < 30*time.Second || longest > time.Minute || f.redials[0] > time.Second {
		t.Fatal(f.redials)
	}
}
