package differential_test

import (
	"math/rand/v2"
)

// generator writes one program. It knows roughly what the broker would answer, so that most
// operations have an effect, but not all need to.
type generator struct {
	*rand.Rand
	theme     theme
	ops       []*operation
	queues    []string // declared, as far as the generator knows
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
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x5eed)), kinds: map[string]string{}}
	total := 0
	for _, t := range themes {
		total += t.weight
	}
	at := g.IntN(total)
	for _, t := range themes {
		if at -= t.weight; at < 0 {
			g.theme = t
			break
		}
	}
	if g.theme.name == "firehose" {
		g.add(&operation{do: "trace", channel: 1, queue: "@trace"})
	}
	g.setUp()
	for end := len(g.ops) + 8 + g.IntN(18); len(g.ops) < end; {
		g.one()
	}
	if g.theme.name == "firehose" {
		g.add(&operation{do: "copies", channel: 1, queue: "@trace"})
	}
	return g.ops
}

func (g *generator) percent(n int) bool { return g.IntN(100) < n }

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

// add appends an operation on some channel.
func (g *generator) add(o *operation) *operation {
	if o.channel == 0 {
		o.channel = 1
		if g.percent(25) {
			o.channel = 2
		}
		if g.percent(20) {
			o.conn = 1
		}
	}
	o.id = len(g.ops)
	g.ops = append(g.ops, o)
	if g.ticking > 0 {
		if g.ticking++; g.ticking > 4 {
			g.ticking = 0
			g.ops = append(g.ops, &operation{id: len(g.ops), do: "wait", n: later})
		}
	}
	return o
}

// expiring records that something ends soon, so that the program waits for it before it might
// end by itself.
func (g *generator) expiring() { g.ticking = max(g.ticking, 1) }

// flags joins the flags that are drawn with their chances in percent.
func (g *generator) flags(chances ...any) (s string) {
	for i := 0; i < len(chances); i += 2 {
		if g.percent(chances[i+1].(int)) {
			s += " " + chances[i].(string)
		}
	}
	return s
}

func (g *generator) queue() string {
	switch {
	case len(g.queues) > 0 && g.percent(93):
		return pick(g, g.queues...)
	case g.percent(30):
		return "" // the one declared last on the channel
	}
	return pick(g, "@q1", "@q2", "@q3", "@nosuch")
}

func (g *generator) exchange() string {
	if len(g.exchanges) > 0 && g.percent(85) {
		return pick(g, g.exchanges...)
	}
	return pick(g, "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "", "@nosuch", "@e1")
}

func (g *generator) key() string {
	return pick(g, "a", "a.b", "a.b.c", "b", "", "a..b", "long.er.key.with.many.words", "@q1", "c")
}

func (g *generator) bindingKey() string {
	return pick(g, "a", "a.b", "a.*", "#", "*", "a.#", "#.c", "*.b.*", "a.#.c", "", "b", "*.*", "#.#", "a.*.#", "..")
}

// setUp declares what the rest plays with.
func (g *generator) setUp() {
	for range 1 + g.IntN(3) {
		g.declareQueue()
	}
	for range g.IntN(3) {
		g.declareExchange()
	}
	for range len(g.exchanges) + g.IntN(2) {
		g.bindQueue()
	}
	if m := g.theme.more["channel mode"]; m > 0 && g.percent(m) {
		g.selectMode(1)
	}
	if g.percent(50) {
		g.consume()
	}
}

// generators are what can add an operation, with how often each is chosen.
var generators = []struct {
	name   string
	weight int
	do     func(*generator)
}{
	{"publish", 260, (*generator).publish},
	{"get", 70, (*generator).get},
	{"consume", 70, (*generator).consume},
	{"cancel", 25, (*generator).cancel},
	{"settle", 170, (*generator).settle},
	{"settle wrongly", 6, (*generator).settleWrongly},
	{"recover", 14, (*generator).recover},
	{"qos", 30, (*generator).qos},
	{"declare queue", 40, (*generator).declareQueue},
	{"declare exchange", 22, (*generator).declareExchange},
	{"bind queue", 40, (*generator).bindQueue},
	{"bind exchange", 14, (*generator).bindExchange},
	{"unbind", 20, (*generator).unbind},
	{"purge", 12, (*generator).purge},
	{"delete queue", 18, (*generator).deleteQueue},
	{"delete exchange", 12, (*generator).deleteExchange},
	{"passive", 12, (*generator).passive},
	{"close channel", 14, (*generator).closeChannel},
	{"close connection", 8, (*generator).closeConnection},
	{"mode", 12, (*generator).changeMode},
	{"commit", 0, (*generator).commit},
	{"raw", 3, (*generator).raw},
	{"handshake", 1, (*generator).handshake},
	{"flow", 2, (*generator).flow},
	{"wait", 0, (*generator).wait},
	{"bad argument", 6, (*generator).badArgument},
	{"reply", 2, (*generator).reply},
	{"reply-to", 2, (*generator).replyTo},
}

func (g *generator) one() {
	total := 0
	weight := func(i int) int {
		if w, ok := g.theme.more[generators[i].name]; ok {
			return w
		}
		return generators[i].weight
	}
	for i := range generators {
		total += weight(i)
	}
	at := g.IntN(total)
	for i, d := range generators {
		if at -= weight(i); at < 0 {
			d.do(g)
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
