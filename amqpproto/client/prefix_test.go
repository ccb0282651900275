package client_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

// TestPrefixComesBeforeTheBody publishes in every possible way: what arrives is the prefix and
// the body, as one body.
func TestPrefixComesBeforeTheBody(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 2<<20/16)
	for _, row := range []struct {
		name string
		cfg  client.Config
		late bool   // the connection comes after the publishes
		bad  string // an exchange that closes the channel, so that the others are sent again
		lent bool
		body string
	}{
		{name: "at once", body: "body"},
		{name: "lent", lent: true, body: "body"},
		{name: "large", body: long},
		{name: "large and lent", lent: true, body: long},
		{name: "without a body"},
		{name: "waiting", late: true, body: "body"},
		{name: "waiting and large", late: true, lent: true, body: long},
		{name: "sent again", bad: "gone", body: "body"},
		{name: "sent again, large", bad: "gone", body: long},
		{name: "in a transaction", cfg: client.Config{TxSelect: true}, body: "body"},
		{name: "without confirms", cfg: client.Config{NoConfirms: true}, body: long},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, 1, row.cfg)
			f.prepare = func(b *fakeBroker) { b.refuses, b.silent = missing("gone"), row.cfg.NoConfirms }
			declares(f, "gone")
			if !row.late {
				f.connect()
			}
			var all []*numbered
			prefix, body := []byte("0: before the "), []byte(row.body)
			publish := func(o client.Outgoing) {
				all = append(all, &numbered{t: t, n: len(all)})
				f.publish(nil, o, all[len(all)-1])
			}
			want := []string{}
			for i := range 3 {
				if i == 1 && row.bad != "" {
					publish(client.Outgoing{Exchange: row.bad})
				}
				prefix[0] = '0' + byte(i)
				o := client.Outgoing{RoutingKey: "q", Prefix: prefix, Body: body, Lent: row.lent}
				if row.lent {
					o.Prefix = bytes.Clone(prefix)
				}
				publish(o)
				want = append(want, string(prefix)+row.body)
			}
			if !row.lent { // it was copied
				prefix[0] = 'x'
				clear(body)
			}
			_, octets := f.client.Unconfirmed()
			if least := 3 * (len(prefix) + len(body)); octets < least {
				t.Errorf("%d octets are counted, want at least %d", octets, least)
			}
			if row.late {
				f.connect()
			}
			f.run()
			f.clock.Advance(time.Second) // without confirms, the end of a large one is seen at a Tick
			f.run()
			for i, c := range all {
				if isBad := row.bad != "" && i == 1; c.told != 1 || (c.err != nil) != isBad {
					t.Errorf("publish %d was told %d times: %v", i, c.told, c.err)
				}
			}
			got := f.broker.bodies
			if row.bad != "" {
				got, _ = firsts(t, f.broker.taken)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d bodies arrived that are others, or in another order", len(got))
			}
			settledAll(t, f)
		})
	}
}

// TestPrefixOfARequest: requests have a prefix too, even when they are kept to be sent again.
func TestPrefixOfARequest(t *testing.T) {
	f := newFixture(t, 1, client.Config{}).connect()
	r := newReplies()
	for i, lent := range []bool{false, true} {
		o := client.Outgoing{RoutingKey: "q", Prefix: []byte("before "), Body: []byte(fmt.Sprint(i)), Lent: lent}
		_, err := f.client.Request(nil, &o, time.Minute, reply{r, i})
		must(t, err)
	}
	f.run()
	for i := range 2 {
		if want := fmt.Sprint("re: before ", i); r.bodies[i] != want || r.errs[i] != nil {
			t.Errorf("%q, %v, want %q", r.bodies[i], r.errs[i], want)
		}
	}
}

// TestReturnOfAPrefix: a returned message is found by its whole body, wherever the prefix ends.
func TestReturnOfAPrefix(t *testing.T) {
	whole := []byte(strings.Repeat("0123456789abcdef", 20_000/16))
	other := bytes.Clone(whole)
	for _, size := range []int{0, 1, 100, 4096, 8192, 8193, 9000, 20_000} {
		for _, at := range []int{0, 1, 50, 4095, 4096, 4097, 8192, 15_000, 16_000, 19_999} {
			if at > size {
				continue
			}
			t.Run(fmt.Sprintf("%d of %d", at, size), func(t *testing.T) {
				f := newFixture(t, 0, client.Config{}).connect()
				f.broker.silent = true
				var all []*numbered
				same := whole[:size]
				for i := range 3 {
					o := client.Outgoing{RoutingKey: "a", Mandatory: true, Body: other[:size/2]}
					if i == 1 {
						o.Prefix, o.Body = same[:at], same[at:]
					}
					all = append(all, &numbered{t: t, n: i})
					f.publish(nil, o, all[i])
				}
				f.run()
				ch := f.broker.pubChan
				f.broker.say(ch, &amqpproto.BasicReturn{ReplyCode: 312, ReplyText: []byte("NO_ROUTE"), RoutingKey: []byte("a")})
				f.broker.script.Say(amqpproto.AppendContentHeader(nil, ch, 60, uint64(size), f.broker.raws[1])...)
				f.broker.script.Say(amqpproto.AppendBody(nil, ch, same, 131072)...)
				f.broker.say(ch, &amqpproto.BasicAck{Multiple: true})
				f.run()
				for i, c := range all {
					if c.told != 1 || (c.err != nil) != (i == 1) {
						t.Errorf("publish %d: %v", i, c.err)
					}
				}
			})
		}
	}
}

// TestPrefixSparesACopy: a large lent body is not copied because of a prefix.
func TestPrefixSparesACopy(t *testing.T) {
	body := largeBody(t)
	d := newDirect(t, client.Config{PublishMax: 1 << 30}, &acker{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	o := client.Outgoing{RoutingKey: "q", RawProperties: typicalProperties(t), Prefix: make([]byte, 100_000), Body: body, LargeLent: true}
	must(t, d.client.Publish(nil, &o, new(counter)))
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > pieceMax {
		t.Errorf("%d octets were allocated for a body of %d", n, len(body))
	}
	left := 0
	for {
		out := d.turn(nil)
		if left += len(out); len(out) == 0 {
			break
		}
		if len(out) > pieceMax {
			t.Errorf("%d octets left in one turn", len(out))
		}
	}
	if left < len(body)+len(o.Prefix) {
		t.Errorf("%d octets left, of a body of %d", left, len(body)+len(o.Prefix))
	}
}
