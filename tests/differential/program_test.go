package differential_test

import (
	"math/rand/v2"
)

// author writes one program. It knows roughly what the broker would answer, so
// that most operations hit something, and does not mind when one does not.
type author struct {
	*rand.Rand
	theme     theme
	ops       []*operation
	queues    []string // declared, as far as the author knows
	exchanges []string
	kinds     map[string]string // of exchanges
	ticking   int               // operations since something began to expire soon
	ranked    bool              // there is a queue with priorities
	hurried   bool              // something has a short time to live
	lettered  bool              // a queue has a dead-letter exchange
}

// theme is what a program is about: what is more likely in it.
type theme struct {
	name    string
	weight  int
	args    []argument // of queues
	more    map[string]int
	durable int // percent
}

const (
	// soon is a time to live that no step outlives, in milliseconds, and later
	// one after which it has ended for certain.
	soon  = 1500
	later = 2600
	never = 3600000
)

// write returns the program of a seed.
func write(seed uint64) []*operation {
	a := &author{Rand: rand.New(rand.NewPCG(seed, 0x5eed)), kinds: map[string]string{}}
	total := 0
	for _, t := range themes {
		total += t.weight
	}
	at := a.IntN(total)
	for _, t := range themes {
		if at -= t.weight; at < 0 {
			a.theme = t
			break
		}
	}
	if a.theme.name == "firehose" {
		a.add(&operation{do: "trace", channel: 1, queue: "@trace"})
	}
	a.setUp()
	for end := len(a.ops) + 8 + a.IntN(18); len(a.ops) < end; {
		a.one()
	}
	if a.theme.name == "firehose" {
		a.add(&operation{do: "copies", channel: 1, queue: "@trace"})
	}
	return a.ops
}

func (a *author) percent(n int) bool { return a.IntN(100) < n }

func pick[T any](a *author, from ...T) T { return from[a.IntN(len(from))] }

// add appends an operation on some channel.
func (a *author) add(o *operation) *operation {
	if o.channel == 0 {
		o.channel = 1
		if a.percent(25) {
			o.channel = 2
		}
		if a.percent(20) {
			o.conn = 1
		}
	}
	o.id = len(a.ops)
	a.ops = append(a.ops, o)
	if a.ticking > 0 {
		if a.ticking++; a.ticking > 4 {
			a.ticking = 0
			a.ops = append(a.ops, &operation{id: len(a.ops), do: "wait", n: later})
		}
	}
	return o
}

// expiring notes that something ends soon, so that the program waits for it
// before it might end by itself.
func (a *author) expiring() { a.ticking = max(a.ticking, 1) }

// flags joins the flags that are drawn with their chances in percent.
func (a *author) flags(chances ...any) (s string) {
	for i := 0; i < len(chances); i += 2 {
		if a.percent(chances[i+1].(int)) {
			s += " " + chances[i].(string)
		}
	}
	return s
}

func (a *author) queue() string {
	switch {
	case len(a.queues) > 0 && a.percent(93):
		return pick(a, a.queues...)
	case a.percent(30):
		return "" // the one declared last on the channel
	}
	return pick(a, "@q1", "@q2", "@q3", "@nosuch")
}

func (a *author) exchange() string {
	if len(a.exchanges) > 0 && a.percent(85) {
		return pick(a, a.exchanges...)
	}
	return pick(a, "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "", "@nosuch", "@e1")
}

func (a *author) key() string {
	return pick(a, "a", "a.b", "a.b.c", "b", "", "a..b", "long.er.key.with.many.words", "@q1", "c")
}

func (a *author) bindingKey() string {
	return pick(a, "a", "a.b", "a.*", "#", "*", "a.#", "#.c", "*.b.*", "a.#.c", "", "b", "*.*", "#.#", "a.*.#", "..")
}

// setUp declares what the rest plays with.
func (a *author) setUp() {
	for range 1 + a.IntN(3) {
		a.declareQueue()
	}
	for range a.IntN(3) {
		a.declareExchange()
	}
	for range len(a.exchanges) + a.IntN(2) {
		a.bindQueue()
	}
	if m := a.theme.more["channel mode"]; m > 0 && a.percent(m) {
		a.selectMode(1)
	}
	if a.percent(50) {
		a.consume()
	}
}

// deeds are what a program can do, with how often each is chosen.
var deeds = []struct {
	name   string
	weight int
	do     func(*author)
}{
	{"publish", 260, (*author).publish},
	{"get", 70, (*author).get},
	{"consume", 70, (*author).consume},
	{"cancel", 25, (*author).cancel},
	{"settle", 170, (*author).settle},
	{"settle wrongly", 6, (*author).settleWrongly},
	{"recover", 14, (*author).recover},
	{"qos", 30, (*author).qos},
	{"declare queue", 40, (*author).declareQueue},
	{"declare exchange", 22, (*author).declareExchange},
	{"bind queue", 40, (*author).bindQueue},
	{"bind exchange", 14, (*author).bindExchange},
	{"unbind", 20, (*author).unbind},
	{"purge", 12, (*author).purge},
	{"delete queue", 18, (*author).deleteQueue},
	{"delete exchange", 12, (*author).deleteExchange},
	{"passive", 12, (*author).passive},
	{"close channel", 14, (*author).closeChannel},
	{"close connection", 8, (*author).closeConnection},
	{"mode", 12, (*author).changeMode},
	{"commit", 0, (*author).commit},
	{"raw", 3, (*author).raw},
	{"handshake", 1, (*author).handshake},
	{"flow", 2, (*author).flow},
	{"wait", 0, (*author).wait},
	{"bad argument", 6, (*author).badArgument},
	{"reply", 2, (*author).reply},
	{"reply-to", 2, (*author).replyTo},
}

func (a *author) one() {
	total := 0
	weight := func(i int) int {
		if w, ok := a.theme.more[deeds[i].name]; ok {
			return w
		}
		return deeds[i].weight
	}
	for i := range deeds {
		total += weight(i)
	}
	at := a.IntN(total)
	for i, d := range deeds {
		if at -= weight(i); at < 0 {
			d.do(a)
			return
		}
	}
}

var themes = []theme{
	{name: "general", weight: 30, args: plain, durable: 40},
	{name: "routing", weight: 12, args: nil, durable: 10, more: map[string]int{"bind queue": 160, "bind exchange": 90, "unbind": 80,
		"declare exchange": 90, "delete exchange": 30, "publish": 360, "consume": 20, "settle": 30}},
	{name: "settling", weight: 16, args: plain, durable: 30, more: map[string]int{"settle": 420, "publish": 360, "recover": 50, "qos": 60,
		"cancel": 40, "close channel": 25}},
	{name: "time", weight: 10, args: times, durable: 20, more: map[string]int{"wait": 40, "publish": 360,
		"raw": 0}},
	{name: "dead letters", weight: 12, args: deadLetters, durable: 20, more: map[string]int{"settle": 300, "publish": 360, "get": 150}},
	{name: "lengths", weight: 12, args: lengths, durable: 20, more: map[string]int{"publish": 480, "get": 120, "channel mode": 60}},
	{name: "priorities", weight: 8, args: priorities, durable: 20, more: map[string]int{"publish": 420, "settle": 220}},
	{name: "consumers", weight: 12, args: consuming, durable: 10, more: map[string]int{"consume": 200, "cancel": 100, "settle": 240, "qos": 60,
		"close channel": 40}},
	{name: "confirms", weight: 12, args: lengths, durable: 50, more: map[string]int{"channel mode": 100, "publish": 480, "delete queue": 30}},
	{name: "transactions", weight: 10, args: plain, durable: 40, more: map[string]int{"channel mode": 100, "commit": 150, "settle": 250,
		"publish": 300}},
	{name: "owners", weight: 8, args: plain, durable: 10, more: map[string]int{"exclusive": 60, "close connection": 60, "declare queue": 120}},
	{name: "errors", weight: 10, args: plain, durable: 30, more: map[string]int{"bad argument": 120, "settle wrongly": 60, "passive": 80,
		"flow": 20, "delete queue": 60, "delete exchange": 60, "declare queue": 120, "declare exchange": 90}},
	{name: "wire", weight: 8, args: plain, durable: 30, more: map[string]int{"raw": 120, "handshake": 40}},
	{name: "replies", weight: 4, args: nil, more: map[string]int{"reply": 200, "reply-to": 120, "get": 150}},
	{name: "firehose", weight: 6, args: plain, durable: 20, more: map[string]int{"settle": 240, "get": 100, "raw": 0, "handshake": 0, "close connection": 0}},
	{name: "quorum", weight: 4, args: quorum, durable: 100, more: map[string]int{"settle": 300, "get": 150, "purge": 20, "exclusive": 0}},
}
