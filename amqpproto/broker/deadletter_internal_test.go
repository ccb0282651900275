package broker

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// taken gets a message and acks it.
func (b *bench) taken(queue string) (key string, pub amqp.Publishing, ok bool) {
	b.t.Helper()
	q := b.v.queues[queue]
	e, _, ok := q.get()
	if !ok {
		return "", pub, false
	}
	p := b.s.view(e.msg)
	var props amqpproto.Properties
	if _, err := props.Decode(p.props); err != nil {
		b.t.Fatal(err)
	}
	pub, err := props.Publishing()
	if err != nil {
		b.t.Fatal(err)
	}
	pub.Body = append([]byte(nil), p.body...)
	key = fmt.Sprintf("%s/%s", p.exchange, p.key)
	q.settle(e)
	return key, pub, true
}

// TestDeadLetterHeaders has what RabbitMQ 3.10.8 sends at the end of a chain of
// four queues whose messages expire.
func TestDeadLetterHeaders(t *testing.T) {
	b := newBench(t)
	for i := 1; i <= 4; i++ {
		b.queue(fmt.Sprint("q", i), amqp.Table{"x-message-ttl": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": fmt.Sprint("q", i+1)})
	}
	b.queue("q5", nil)
	b.publish("", "q1", amqp.Publishing{Body: []byte("x"), ContentType: "text/plain", Expiration: "10", MessageId: "id",
		Headers: amqp.Table{"CC": []any{"zz"}, "BCC": []any{"yy"}, "mine": int32(5)}})
	start := b.clock.now
	b.pass(100 * time.Millisecond)
	key, pub, ok := b.taken("q5")
	row := func(queue string, ms int, keys ...any) amqp.Table {
		at := start.Add(time.Duration(ms) * time.Millisecond).Truncate(time.Second).UTC()
		return amqp.Table{"count": int64(1), "reason": "expired", "queue": queue, "time": at, "exchange": "", "routing-keys": keys}
	}
	first := row("q1", 10, "q1", "zz")
	first["original-expiration"] = "10"
	want := amqp.Table{"mine": int32(5), "x-first-death-exchange": "", "x-first-death-queue": "q1", "x-first-death-reason": "expired",
		"x-death": []any{row("q4", 70, "q4"), row("q2", 30, "q2"), first, row("q3", 50, "q3")}}
	if got := fmt.Sprint(pub.Headers); !ok || key != "/q5" || got != fmt.Sprint(want) {
		t.Errorf("%v at %s\n%s\nwant\n%s", ok, key, got, want)
	}
	if string(pub.Body) != "x" || pub.ContentType != "text/plain" || pub.MessageId != "id" || pub.Expiration != "" {
		t.Errorf("the letter is %+v", pub)
	}
	b.end()
}

// TestDeadLetterKeys: if the queue has no dead-letter routing key, a dead letter is routed by the
// keys of the message, including those of BCC.
func TestDeadLetterKeys(t *testing.T) {
	b := newBench(t)
	b.exchange("dlx", "direct", nil)
	b.queue("source", amqp.Table{"x-dead-letter-exchange": "dlx"})
	for _, key := range []string{"source", "seen", "hidden", "other"} {
		b.queue("by "+key, nil)
		b.bind("by "+key, "dlx", key, nil)
	}
	b.publish("", "source", amqp.Publishing{Headers: amqp.Table{"CC": []any{"seen"}, "BCC": []any{"hidden"}}})
	e, _, _ := b.v.queues["source"].get()
	b.v.queues["source"].reject(e)
	for _, queue := range []string{"by source", "by seen", "by hidden"} {
		key, pub, ok := b.taken(queue)
		if !ok || key != "dlx/source" || fmt.Sprint(pub.Headers["CC"]) != "[seen]" || pub.Headers["BCC"] != nil {
			t.Errorf("%s: %v %s %v", queue, ok, key, pub.Headers)
		}
	}
	if b.v.queues["by other"].messages() != 0 {
		t.Error("it went elsewhere too")
	}
	b.end()
}

func TestDeadLetterCounts(t *testing.T) {
	b := newBench(t)
	b.queue("work", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "wait"})
	b.queue("wait", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work", "x-message-ttl": 50})
	b.publish("", "work", amqp.Publishing{Body: []byte("x")})
	work := b.v.queues["work"]
	for round := range 5 {
		e, _, ok := work.get()
		if !ok {
			t.Fatalf("round %d: it is lost", round)
		}
		deaths := deathsOf(t, b.s.view(e.msg).props)
		want := []modelDeath{{"wait", "expired", round}, {"work", "rejected", round}}
		if round == 0 {
			want = nil
		}
		if fmt.Sprint(deaths) != fmt.Sprint(want) {
			t.Errorf("round %d: %v", round, deaths)
		}
		work.reject(e)
		b.pass(60 * time.Millisecond)
	}
	work.purge()
	b.end()
}

// TestDeadLetterCircles: a circle ends if only the broker moves the message round it.
func TestDeadLetterCircles(t *testing.T) {
	b := newBench(t)
	b.queue("self", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "self", "x-message-ttl": 0})
	b.queue("a", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "b", "x-max-length": 0})
	b.queue("b", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "a", "x-message-ttl": 10})
	b.publish("", "self", amqp.Publishing{})
	b.publish("", "a", amqp.Publishing{})
	for range 10 {
		b.pass(time.Second)
	}
	for _, q := range b.v.queues {
		if q.messages() != 0 {
			t.Errorf("%s has %d", q, q.messages())
		}
	}
	b.end()
}

// TestDeadLetterChain: a very long chain does not need a deep stack.
func TestDeadLetterChain(t *testing.T) {
	b := newBench(t)
	const n = 300
	for i := range n {
		b.queue(fmt.Sprint("q", i), amqp.Table{"x-max-length": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": fmt.Sprint("q", i+1)})
	}
	b.queue(fmt.Sprint("q", n), nil)
	b.publish("", "q0", amqp.Publishing{})
	_, pub, ok := b.taken(fmt.Sprint("q", n))
	if deaths, _ := pub.Headers["x-death"].([]any); !ok || len(deaths) != n {
		t.Errorf("%v after %d deaths", ok, len(deaths))
	}
	b.end()
}

func TestRejectPublish(t *testing.T) {
	b := newBench(t)
	b.queue("plain", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
	b.queue("dlx", amqp.Table{"x-max-length-bytes": 10, "x-overflow": "reject-publish-dlx", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
	b.queue("dead", nil)
	for _, queue := range []string{"plain", "dlx"} {
		if !b.publish("", queue, amqp.Publishing{Body: []byte("012345")}) || b.publish("", queue, amqp.Publishing{Body: []byte("67890")}) {
			t.Errorf("%s took the wrong ones", queue)
		}
		if n := b.v.queues[queue].messages(); n != 1 {
			t.Errorf("%s has %d", queue, n)
		}
	}
	_, pub, ok := b.taken("dead")
	if !ok || string(pub.Body) != "67890" || pub.Headers["x-first-death-reason"] != "maxlen" || b.v.queues["dead"].messages() != 0 {
		t.Errorf("dead letter %v %+v", ok, pub)
	}
	b.end()
}

// TestDeadLetterManyRows: x-death comes from clients, and may be long.
func TestDeadLetterManyRows(t *testing.T) {
	b := newBench(t)
	b.queue("q", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
	b.queue("dead", nil)
	var rows []any
	for i := range 20_000 {
		rows = append(rows, amqp.Table{"queue": fmt.Sprint(i / 2), "reason": "expired"}, nil)
	}
	b.publish("", "q", amqp.Publishing{Headers: amqp.Table{"x-death": rows}})
	e, _, _ := b.v.queues["q"].get()
	b.v.queues["q"].reject(e)
	_, pub, ok := b.taken("dead")
	deaths, _ := pub.Headers["x-death"].([]any)
	if !ok || len(deaths) != 1+10_000+20_000 {
		t.Fatalf("%v, %d rows", ok, len(deaths))
	}
	if last, _ := deaths[len(deaths)-1].(amqp.Table); last["count"] != int64(2) || last["queue"] != "0" {
		t.Errorf("the last row is %v", last)
	}
	b.end()
}

// FuzzDeadLetter sends messages with any properties through a dead-letter exchange: the result
// can be read, and has one death more.
func FuzzDeadLetter(f *testing.F) {
	add := func(pub amqp.Publishing) {
		props, err := amqpproto.AppendPublishing(nil, &pub)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(props)
	}
	add(amqp.Publishing{})
	add(amqp.Publishing{Headers: amqp.Table{"x-death": "no array"}, Expiration: "5"})
	add(amqp.Publishing{Headers: amqp.Table{"CC": []any{"q", nil, "q"}, "x-death": []any{"no table", amqp.Table{"queue": int32(5), "reason": "expired"},
		amqp.Table{"queue": "q", "reason": "rejected"}, amqp.Table{"queue": "q", "reason": "rejected", "count": int64(math.MaxInt64)}}}})
	f.Fuzz(func(t *testing.T, props []byte) {
		b := newBench(t)
		q := b.queue("q", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
		dead := b.queue("dead", nil)
		b.pub = publishing{key: []byte("q"), props: props}
		if b.pub.parse() != nil || b.pub.check() != nil {
			return
		}
		b.push()
		for q.messages() > 0 {
			e, _, _ := q.get()
			q.reject(e)
		}
		e, _, ok := dead.get()
		if !ok {
			if b.pub.expiration == 0 {
				return // expired instead
			}
			t.Fatal("the letter is lost")
		}
		p := b.s.view(e.msg)
		again := publishing{props: p.props}
		if err := again.parse(); err != nil {
			t.Fatal(err)
		}
		d := deathsOf(t, p.props)
		if len(d) == 0 || d[0].queue != "q" || d[0].reason != "rejected" && d[0].reason != "expired" {
			t.Fatalf("deaths are %v", d)
		}
		dead.settle(e)
		b.end()
	})
}
