package client_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// missing is a broker on which exchanges with this prefix do not exist; it uses RabbitMQ's
// texts.
func missing(prefix string) func(*amqpproto.BasicPublish, *amqpproto.Properties, string) (uint16, string) {
	return func(m *amqpproto.BasicPublish, p *amqpproto.Properties, _ string) (uint16, string) {
		if strings.HasPrefix(string(m.Exchange), prefix) {
			return 404, fmt.Sprintf("NOT_FOUND - no exchange '%s' in vhost '/'", m.Exchange)
		}
		if len(p.UserID) > 0 && string(p.UserID) != "guest" {
			return 406, fmt.Sprintf("PRECONDITION_FAILED - user_id property set to '%s' but authenticated user was 'guest'", p.UserID)
		}
		return 0, ""
	}
}

// declares trusts exchanges, as their declaration succeeds.
func declares(f *fixture, names ...string) *client.Producer {
	var t client.Topology
	for _, name := range names {
		t.Exchanges = append(t.Exchanges, client.Exchange{Name: name, Type: "topic"})
	}
	return f.client.Produce(client.ProducerSpec{Name: "p", Topology: t})
}

// firsts is the order in which the broker has taken messages, without second
// copies, which are told by their ids.
func firsts(t *testing.T, taken []took) (bodies []string, copies int) {
	seen := map[string]string{}
	for _, m := range taken {
		body, again := seen[m.id]
		if m.id == "" {
			t.Fatalf("message %q came without an id", m.body)
		}
		if again {
			if copies++; body != m.body {
				t.Fatalf("id %s is of %q and %q", m.id, body, m.body)
			}
			continue
		}
		seen[m.id] = m.body
		bodies = append(bodies, m.body)
	}
	return bodies, copies
}

func isChannelError(err error, code uint16, text string) bool {
	var ce *amqpproto.ChannelError
	return errors.As(err, &ce) && ce.Code == code && strings.Contains(ce.Text, text)
}

// settledAll checks that nothing is left.
func settledAll(t *testing.T, f *fixture) {
	t.Helper()
	if n, octets := f.client.Unconfirmed(); n != 0 || octets != 0 {
		t.Fatalf("%d publishes of %d octets are left", n, octets)
	}
}

// TestOneBadPublish: the broker closes the channel because of one publish of many. It alone
// fails, whatever text the broker uses, and the others arrive in order.
func TestOneBadPublish(t *testing.T) {
	const total, bad = 41, 23
	user := amqpproto.Properties{Flags: amqpproto.FlagUserID, UserID: []byte("mallory")}
	rawUser, err := user.Append(nil)
	must(t, err)
	for _, row := range []struct {
		name     string
		declared bool // the exchange is, so that it shares the channel
		out      client.Outgoing
		refuses  func(*amqpproto.BasicPublish, *amqpproto.Properties, string) (uint16, string)
		code     uint16
		text     string
	}{
		{"a declared exchange that is gone", true, client.Outgoing{Exchange: "gone"}, missing("gone"), 404, "'gone'"},
		{"an exchange that nothing declares", false, client.Outgoing{Exchange: "gone"}, missing("gone"), 404, "'gone'"},
		{"a foreign user id", false, client.Outgoing{RawProperties: rawUser}, missing("gone"), 406, "'mallory'"},
		{"no write permission", true, client.Outgoing{Exchange: "gone"}, func(m *amqpproto.BasicPublish, _ *amqpproto.Properties, _ string) (uint16, string) {
			if string(m.Exchange) == "gone" {
				return 403, "ACCESS_REFUSED - access to exchange 'gone' in vhost '/' refused for user 'guest'"
			}
			return 0, ""
		}, 403, "'gone'"},
		{"other words", true, client.Outgoing{Exchange: "gone"}, func(m *amqpproto.BasicPublish, _ *amqpproto.Properties, _ string) (uint16, string) {
			if string(m.Exchange) == "gone" {
				return 541, "INTERNAL_ERROR"
			}
			return 0, ""
		}, 541, ""},
		{"too large", true, client.Outgoing{}, func(_ *amqpproto.BasicPublish, _ *amqpproto.Properties, body string) (uint16, string) {
			if len(body) > 10 {
				return 406, fmt.Sprintf("PRECONDITION_FAILED - message size %d is larger than configured max size 10", len(body))
			}
			return 0, ""
		}, 406, "max size 10"},
	} {
		for _, silent := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, silent %v", row.name, silent), func(t *testing.T) {
				wiretest.Seeds(t, 6, func(t *testing.T, seed int64) {
					f := newFixture(t, seed, client.Config{})
					f.prepare = func(b *fakeBroker) { b.refuses, b.silent = row.refuses, silent }
					if row.declared {
						declares(f, "gone")
					}
					f.connect()
					var all []*numbered
					var want []string
					for i := range total {
						o := to(fmt.Sprint(i))
						o.Body = []byte(fmt.Sprint(i))
						if i == bad {
							o = row.out
							o.Body = []byte("the bad one")
						} else {
							want = append(want, string(o.Body))
						}
						all = append(all, &numbered{t: t, n: i})
						f.publish(nil, o, all[i])
					}
					f.run()
					f.clock.Advance(5 * time.Second) // the silent one holds up each window
					f.broker.confirm()
					f.run()
					for i, c := range all {
						if c.told != 1 || i != bad && c.err != nil || i == bad && !isChannelError(c.err, row.code, row.text) {
							t.Fatalf("publish %d was told %d times: %v", i, c.told, c.err)
						}
					}
					got, copies := firsts(t, f.broker.taken)
					if !slices.Equal(got, want) {
						t.Fatalf("taken %v", got)
					}
					if s := f.client.Stats(); int(s.ResentIndeterminate) < copies || !row.declared && s.Resent > 0 || s.ChannelErrors == 0 {
						t.Fatalf("%d copies, %+v", copies, s)
					}
					settledAll(t, f)
				})
			})
		}
	}
}

// TestManyBadPublishes has a tenth of the publishes bad, in several ways at once,
// over both channels.
func TestManyBadPublishes(t *testing.T) {
	wiretest.Seeds(t, 40, func(t *testing.T, seed int64) {
		rnd := rand.New(rand.NewPCG(uint64(seed), 7))
		f := newFixture(t, seed, client.Config{BackoffMax: time.Second})
		f.prepare = func(b *fakeBroker) {
			named := missing("gone")
			b.refuses = func(m *amqpproto.BasicPublish, p *amqpproto.Properties, body string) (uint16, string) {
				if strings.HasPrefix(body, "odd") {
					return 406, "PRECONDITION_FAILED - something about it"
				}
				return named(m, p, body)
			}
		}
		declares(f, "here", "gone1")
		f.connect()
		const total = 300
		var all []*numbered
		isBad := map[int]string{}
		byLane := map[string][]string{}
		for i := range total {
			o := client.Outgoing{Exchange: []string{"", "here", "elsewhere"}[rnd.IntN(3)], Body: []byte(fmt.Sprint(i))}
			switch rnd.IntN(30) {
			case 0:
				o.Exchange = fmt.Sprint("gone", rnd.IntN(4))
				isBad[i] = "'" + o.Exchange + "'"
			case 1:
				o.Body = fmt.Appendf(nil, "odd %d", i)
				isBad[i] = "something"
			}
			if isBad[i] == "" {
				byLane[o.Exchange] = append(byLane[o.Exchange], string(o.Body))
			}
			all = append(all, &numbered{t: t, n: i})
			f.publish(nil, o, all[i])
			if rnd.IntN(8) == 0 {
				f.run()
			}
		}
		f.run()
		f.clock.Advance(5 * time.Second)
		for i, c := range all {
			var ce *amqpproto.ChannelError
			bad := isBad[i]
			if c.told != 1 || bad == "" && c.err != nil || bad != "" && (!errors.As(c.err, &ce) || !strings.Contains(ce.Text, bad)) {
				t.Fatalf("publish %d was told %d times: %v, want %q", i, c.told, c.err, bad)
			}
		}
		got, copies := firsts(t, f.broker.taken)
		for exchange, want := range byLane {
			var have []string
			for _, body := range got {
				if slices.Contains(want, body) {
					have = append(have, body)
				}
			}
			if !slices.Equal(have, want) {
				t.Fatalf("to %q: %v, want %v", exchange, have, want)
			}
		}
		if s := f.client.Stats(); int(s.ResentIndeterminate) < copies {
			t.Fatalf("%d copies, %+v", copies, s)
		}
		settledAll(t, f)
	})
}

// TestBadPublishInTx: one call of three fails completely, and the others are sent again
// completely, without a second copy.
func TestBadPublishInTx(t *testing.T) {
	for _, text := range []string{"NOT_FOUND - no exchange 'gone' in vhost '/'", "INTERNAL"} {
		wiretest.Seeds(t, 6, func(t *testing.T, seed int64) {
			f := newFixture(t, seed, client.Config{TxSelect: true})
			f.prepare = func(b *fakeBroker) {
				b.refuses = func(m *amqpproto.BasicPublish, _ *amqpproto.Properties, _ string) (uint16, string) {
					if string(m.Exchange) == "gone" {
						return 404, text
					}
					return 0, ""
				}
			}
			f.connect()
			var all []*numbered
			for request := range 3 {
				group := new(int)
				for i := range 4 {
					o := client.Outgoing{Body: fmt.Appendf(nil, "%d.%d", request, i), Group: group}
					if request == 1 && i == 2 {
						o.Exchange = "gone"
					}
					all = append(all, &numbered{t: t, n: len(all)})
					f.publish(nil, o, all[len(all)-1])
				}
			}
			f.broker.log = nil
			f.run()
			for i, c := range all {
				if c.told != 1 || (c.err != nil) != (i/4 == 1) {
					t.Fatalf("publish %d was told %d times: %v", i, c.told, c.err)
				}
			}
			if s := f.client.Stats(); s.ResentIndeterminate != 0 || s.Resent == 0 {
				t.Fatalf("%+v", s)
			}
			if got := transcript(f.broker.log); !strings.HasSuffix(got, "C") {
				t.Fatal(got)
			}
			settledAll(t, f)
		})
	}
}

// TestResentEndsOnce loses the connection, or runs out of time, while publishes
// wait to be sent again.
func TestResentEndsOnce(t *testing.T) {
	for _, cut := range []bool{true, false} {
		f := newFixture(t, 3, client.Config{ConfirmTimeout: 10 * time.Second})
		opened := 0
		f.prepare = func(b *fakeBroker) {
			b.refuses = missing("gone")
			b.on[amqpproto.IDChannelOpen] = func(uint16, amqpproto.Method) bool {
				opened++
				return opened > 2 // the producer's, and ours; not the next one
			}
		}
		declares(f, "gone")
		f.connect()
		f.broker.silent = true
		var all []*numbered
		for i := range 10 {
			o := to(fmt.Sprint(i))
			if i == 5 {
				o = client.Outgoing{Exchange: "gone"}
			}
			all = append(all, &numbered{t: t, n: i})
			f.publish(nil, o, all[i])
		}
		f.run()
		if !isChannelError(all[5].err, 404, "gone") || all[4].told != 0 {
			t.Fatal(all[5].err, all[4].told)
		}
		if n, _ := f.client.Unconfirmed(); n != 9 {
			t.Fatal(n)
		}
		if cut {
			f.manual = true
			f.link.Cut(errors.New("pulled"))
		}
		f.clock.Advance(11 * time.Second)
		for i, c := range all {
			var lost *client.LostError
			if c.told != 1 || i != 5 && cut != errors.As(c.err, &lost) || i != 5 && cut == errors.Is(c.err, client.ErrConfirmTimeout) {
				t.Fatalf("publish %d was told %d times: %v", i, c.told, c.err)
			}
		}
		settledAll(t, f)
	}
}

// TestChannelClosedWhileClosing: the broker closes the publish channel when our
// connection.close is on its way.
func TestChannelClosedWhileClosing(t *testing.T) {
	f := newFixture(t, 0, client.Config{}).connect()
	f.publish(nil, to("a"), &numbered{t: t})
	f.run()
	ch := f.broker.taken[0].ch
	f.broker.on[amqpproto.IDConnectionClose] = func(uint16, amqpproto.Method) bool {
		f.broker.closeChannel(ch, 541, "INTERNAL_ERROR")
		f.broker.say(0, &amqpproto.ConnectionCloseOk{})
		f.broker.script.Close()
		return true
	}
	closed := 0
	f.client.Close(func(err error) { closed++ })
	f.run()
	f.clock.Advance(time.Second)
	if closed != 1 {
		t.Fatal(closed)
	}
}
