package client_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// requestTo makes request n, whose body is its number.
func (f *fixture) requestTo(r *replies, n int, o client.Outgoing) {
	f.t.Helper()
	o.Body = []byte(fmt.Sprint(n))
	_, err := f.client.Request(nil, &o, time.Minute, reply{r, n})
	must(f.t, err)
}

// replyAll answers what the broker has kept, over the channels that are there now:
// of a reply queue, any channel that consumes from it brings the reply.
func (b *fakeBroker) replyAll() {
	b.silent = false
	for _, q := range b.requests {
		for ch := range b.requestTag {
			if ch == q.ch || b.replyQueue[ch] == q.target && strings.HasPrefix(q.target, "amq.gen") {
				q.ch = ch
				b.reply(q, "re: "+q.body)
				break
			}
		}
	}
}

func isReplyLost(err error) bool {
	var lost *client.ReplyLostError
	var ce *amqpproto.ChannelError
	return errors.As(err, &lost) && !errors.As(err, &ce) && !strings.Contains(err.Error(), "gone")
}

// TestOneBadRequest: the broker closes the channel because of one of several requests. Only
// that one gets the broker's error; later ones are sent again, earlier ones are not; and
// requests to trusted exchanges are not touched.
func TestOneBadRequest(t *testing.T) {
	user := amqpproto.Properties{Flags: amqpproto.FlagUserID, UserID: []byte("mallory")}
	rawUser, err := user.Append(nil)
	must(t, err)
	for _, row := range []struct {
		name     string
		declared bool // the exchange is, so that it shares the channel of what is trusted
		out      client.Outgoing
		code     uint16
		text     string
	}{
		{"an exchange that nothing declares", false, client.Outgoing{Exchange: "gone"}, 404, "'gone'"},
		{"a foreign user id", false, client.Outgoing{RawProperties: rawUser}, 406, "'mallory'"},
		{"a declared exchange that is gone", true, client.Outgoing{Exchange: "gone"}, 404, "'gone'"},
	} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, reply queue %v", row.name, own), func(t *testing.T) {
				wiretest.Seeds(t, 6, func(t *testing.T, seed int64) {
					f := newFixture(t, seed, client.Config{ReplyQueue: own})
					f.prepare = func(b *fakeBroker) { b.refuses, b.silent = missing("gone"), true }
					beside := client.Outgoing{Exchange: "elsewhere"}
					if row.declared {
						declares(f, "gone")
						beside = client.Outgoing{}
					}
					f.connect()
					r := newReplies()
					f.requestTo(r, 0, client.Outgoing{})
					f.requestTo(r, 1, beside)
					f.requestTo(r, 2, row.out)
					f.requestTo(r, 3, beside)
					f.requestTo(r, 4, row.out)
					f.requestTo(r, 5, beside)
					f.requestTo(r, 6, client.Outgoing{})
					f.run()
					f.broker.replyAll()
					f.run()
					handled := map[string]int{}
					for _, q := range f.broker.requests {
						handled[q.body]++
					}
					for i := range 7 {
						indeterminate := i == 1 || row.declared && (i == 0 || i == 3)
						switch {
						case i == 2 || i == 4:
							if !isChannelError(r.errs[i], row.code, row.text) || handled[fmt.Sprint(i)] != 0 {
								t.Fatalf("%d: %v, handled %v", i, r.errs[i], handled)
							}
						case indeterminate && (!own || i == 3):
							if !isReplyLost(r.errs[i]) || handled[fmt.Sprint(i)] > 1 {
								t.Fatalf("%d: %v, handled %v", i, r.errs[i], handled)
							}
						case r.bodies[i] != fmt.Sprint("re: ", i) || handled[fmt.Sprint(i)] != 1:
							t.Fatalf("%d: %q %v, handled %v", i, r.bodies[i], r.errs[i], handled)
						}
					}
					if n := f.broker.queues; own && !row.declared && n != 2 || own && row.declared && n != 1 {
						t.Fatalf("%d reply queues", n)
					}
					settledAll(t, f)
				})
			})
		}
	}
}

// TestManyBadRequests: a tenth of the requests is bad. Each bad one gets its own error, no
// good one is handled twice, and none to a trusted exchange is affected.
func TestManyBadRequests(t *testing.T) {
	for _, own := range []bool{false, true} {
		wiretest.Seeds(t, 30, func(t *testing.T, seed int64) {
			rnd := rand.New(rand.NewPCG(uint64(seed), 11))
			f := newFixture(t, seed, client.Config{ReplyQueue: own, BackoffMax: time.Second})
			handled := map[string]int{}
			f.prepare = func(b *fakeBroker) {
				named := missing("gone")
				b.refuses = func(m *amqpproto.BasicPublish, p *amqpproto.Properties, body string) (uint16, string) {
					code, text := named(m, p, body)
					if code == 0 {
						handled[body]++
					}
					return code, text
				}
			}
			declares(f, "here")
			f.connect()
			r := newReplies()
			const total = 300
			exchanges := make([]string, total)
			for i := range total {
				exchanges[i] = []string{"", "here", "elsewhere"}[rnd.IntN(3)]
				if rnd.IntN(10) == 0 {
					exchanges[i] = fmt.Sprint("gone", rnd.IntN(4))
				}
				f.requestTo(r, i, client.Outgoing{Exchange: exchanges[i]})
				if rnd.IntN(8) == 0 {
					f.run()
				}
			}
			f.run()
			for i, exchange := range exchanges {
				bad := strings.HasPrefix(exchange, "gone")
				n := handled[fmt.Sprint(i)]
				switch {
				case bad && !isChannelError(r.errs[i], 404, "'"+exchange+"'"),
					!bad && r.bodies[i] == "" && (exchange != "elsewhere" || own || !isReplyLost(r.errs[i])),
					!bad && n != 1:
					t.Fatalf("request %d to %q was handled %d times: %q %v", i, exchange, n, r.bodies[i], r.errs[i])
				}
			}
			settledAll(t, f)
		})
	}
}

// TestRefusedRequestsHaveTheirOwnChannel: exchanges that the broker has refused no longer
// affect others that are not trusted either.
func TestRefusedRequestsHaveTheirOwnChannel(t *testing.T) {
	f := newFixture(t, 1, client.Config{})
	f.prepare = func(b *fakeBroker) { b.refuses = missing("gone") }
	f.connect()
	user := amqpproto.Properties{Flags: amqpproto.FlagUserID, UserID: []byte("mallory")}
	rawUser, err := user.Append(nil)
	must(t, err)
	r := newReplies()
	bad := []client.Outgoing{{Exchange: "gone"}, {RawProperties: rawUser}}
	for i, o := range bad {
		f.requestTo(r, i, o)
		f.run()
	}
	f.broker.silent = true
	f.requestTo(r, 2, client.Outgoing{Exchange: "elsewhere"})
	for i, o := range bad {
		f.requestTo(r, 3+i, o)
		f.run()
	}
	f.broker.replyAll()
	f.run()
	if r.bodies[2] != "re: 2" || r.len() != 5 || !isChannelError(r.errs[3], 404, "'gone'") || !isChannelError(r.errs[4], 406, "'mallory'") {
		t.Fatal(r.bodies, r.errs)
	}
	settledAll(t, f)
}

// TestConfirmedRequestTrustsExchange: an exchange that a request has reached is trusted from then
// on.
func TestConfirmedRequestTrustsExchange(t *testing.T) {
	f := newFixture(t, 1, client.Config{})
	f.prepare = func(b *fakeBroker) { b.refuses = missing("gone") }
	f.connect()
	r := newReplies()
	f.requestTo(r, 0, client.Outgoing{Exchange: "elsewhere"})
	f.run()
	f.broker.silent = true
	f.requestTo(r, 1, client.Outgoing{Exchange: "elsewhere"})
	f.run()
	f.requestTo(r, 2, client.Outgoing{Exchange: "gone"})
	f.run()
	f.broker.replyAll()
	f.run()
	if r.bodies[1] != "re: 1" || !isChannelError(r.errs[2], 404, "'gone'") {
		t.Fatal(r.bodies, r.errs)
	}
	settledAll(t, f)
}
