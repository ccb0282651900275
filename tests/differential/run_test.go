package differential_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"zamqp/amqpproto"
)

// broker is one of the two that are compared.
type broker struct {
	name, addr, user, password, vhost string
}

// run executes one program on one broker.
type run struct {
	b        *broker
	prefix   string // prefix of the names of this run
	ends     [2]*end
	names    []string            // pairs for a strings.Replacer: what the server made up, and its symbol
	symbols  map[string]string   // symbols to what the server made up
	queues   map[string]*watched // by symbol: what was declared and not found missing since
	order    []string            // of queues
	observer *end
	now      int // number of the step
	lines    []line
	reply    string // the last reply-to that came
	patient  bool   // longer pauses
	quorum   bool   // there are quorum queues
	dying    bool   // see step
	traced   bool   // the firehose is listened to
}

// line is one line of a step's transcript, with the group it is sorted into.
type line struct{ group, text string }

// watched is a queue whose figures are looked at after every step.
type watched struct {
	owner *end // the connection that declared it exclusive
	last  string
}

var runs atomic.Int64

// execute runs the program and returns what the client saw.
func execute(b *broker, program []*operation, slowly bool) *transcript {
	began := time.Now()
	r := &run{b: b, prefix: fmt.Sprintf("d%06x%05x.", began.UnixNano()>>20&0xffffff, runs.Add(1)&0xfffff),
		symbols: map[string]string{}, queues: map[string]*watched{}, quorum: hasQuorum(program)}
	// Quorum queues show what they have been told only when it is in their log.
	r.patient = slowly || r.quorum
	for i := range r.ends {
		r.ends[i] = &end{r: r, name: string(rune('A' + i))}
	}
	r.observer = &end{r: r, name: "O"}
	t := &transcript{}
	for _, o := range program {
		r.now++
		r.lines, r.dying = nil, false
		r.step(o)
		t.steps = append(t.steps, step{o.String(), r.finish(), r.dying})
	}
	r.cleanUp(program)
	t.took = time.Since(began)
	return t
}

func hasQuorum(program []*operation) bool {
	return slices.ContainsFunc(program, func(o *operation) bool { return o.args["x-queue-type"] == "quorum" })
}

func (r *run) name(s string) string {
	switch {
	case s == "&":
		if r.reply == "" {
			return "nowhere"
		}
		return r.reply
	case strings.HasPrefix(s, "@"):
		return r.prefix + s[1:]
	case strings.HasPrefix(s, "$"):
		if made := r.symbols[s]; made != "" {
			return made
		}
		return r.prefix + s[1:]
	}
	return s
}

// invent remembers a name that the server made up.
func (r *run) invent(symbol, name string) {
	if r.symbols[symbol] == "" {
		r.symbols[symbol] = name
		r.names = append(r.names, name, symbol)
	}
}

func (r *run) say(group, format string, args ...any) {
	r.lines = append(r.lines, line{group, fmt.Sprintf(format, args...)})
}

var replyAddress = regexp.MustCompile(`amq\.rabbitmq\.reply-to\.[A-Za-z0-9+/=_.\-]+`)

var consumerCount = regexp.MustCompile(`consumers=[0-9]+`)

// finish returns the lines of the step in an order that does not depend on how independent
// channels and queues were interleaved, with all names as symbols.
func (r *run) finish() []string {
	for _, e := range r.ends {
		e.confirmed()
	}
	symbols := strings.NewReplacer(append(slices.Clone(r.names), r.prefix, "@", "'"+r.b.vhost+"'", "'/'")...)
	clean := func(s string) string {
		if r.quorum {
			// RabbitMQ counts a client that holds a message by basic.get among the
			// consumers.
			s = consumerCount.ReplaceAllString(s, "consumers=?")
		}
		return replyAddress.ReplaceAllString(symbols.Replace(s), "amq.rabbitmq.reply-to.*")
	}
	for i := range r.lines {
		r.lines[i] = line{clean(r.lines[i].group), clean(r.lines[i].text)}
	}
	slices.SortStableFunc(r.lines, func(a, b line) int { return strings.Compare(a.group, b.group) })
	var out []string
	for _, l := range r.lines {
		out = append(out, l.text)
	}
	return out
}

func (r *run) step(o *operation) {
	e := r.ends[o.conn]
	switch o.do {
	case "wait":
		time.Sleep(time.Duration(o.n) * time.Millisecond)
	case "handshake":
		r.handshake(o)
		return
	case "trace":
		r.trace(o)
		return
	case "copies":
		r.copies(o)
		return
	default:
		if !e.ready(o.channel) {
			return
		}
		e.perform(o)
	}
	r.settle(o)
}

// settle waits until the broker has nothing more to send about the step. If one process of
// RabbitMQ has sent something to another before it answered a call, it arrives before what
// the caller sends next. So after some rounds of questions to every queue and every channel,
// everything that follows from the step has happened. Two rounds that saw nothing new are
// taken as the end.
func (r *run) settle(o *operation) {
	rounds, pause := 2, time.Duration(0)
	switch {
	case o.do == "connection.close" || o.do == "abort" || o.do == "raw":
		rounds, pause = 3, 30*time.Millisecond // the end of a connection is worked off in the background
	case o.do == "wait":
		rounds = 3
	}
	if r.patient {
		rounds, pause = 4, 25*time.Millisecond
	}
	calm := 0
	for round := 0; calm < rounds && round < 40; round++ {
		if round > 0 {
			time.Sleep(pause)
		}
		for _, e := range r.ends {
			e.awaitConfirms()
		}
		before := len(r.lines)
		changed := r.look()
		for _, e := range r.ends {
			e.markers()
		}
		if calm++; changed || len(r.lines) != before {
			calm = 0
			if round > 0 {
				pause = max(pause, time.Millisecond)
			}
		}
	}
	for _, name := range r.order {
		if w := r.queues[name]; w != nil && w.last != "" {
			r.say("zz "+name, "%s", w.last)
		}
	}
}

// look asks for the figures of all queues, and says whether any has changed.
func (r *run) look() (changed bool) {
	for _, name := range slices.Clone(r.order) {
		w := r.queues[name]
		e := r.observer
		if w.owner != nil {
			e = w.owner
		}
		text := e.figures(r.name(name))
		if w.owner != nil && text == "" {
			w.owner, text = nil, r.observer.figures(r.name(name)) // the queue ends with its owner, some time
		}
		if w.owner == nil && strings.HasPrefix(text, "channel.close 405") {
			// It is exclusive, so only its owner may ask. The test finds the owner
			// by asking.
			changed = true
			for _, owner := range r.ends {
				if answer := owner.figures(r.name(name)); strings.HasPrefix(answer, "queue.declare-ok") {
					w.owner, text = owner, answer
				}
			}
		}
		if w.owner == nil && strings.HasPrefix(text, "channel.close 405") {
			continue // its owner has gone
		}
		if text != w.last {
			w.last, changed = text, true
		}
		if !strings.HasPrefix(text, "queue.declare-ok") {
			r.forget(name, text)
		}
	}
	return changed
}

// watch adds a queue to those whose figures are looked at.
func (r *run) watch(symbol string) {
	if w := r.queues[symbol]; w != nil {
		return
	}
	r.queues[symbol] = &watched{}
	r.order = append(r.order, symbol)
}

// forget ends the watch of a queue that cannot be seen any more.
func (r *run) forget(symbol, text string) {
	delete(r.queues, symbol)
	r.order = slices.DeleteFunc(r.order, func(s string) bool { return s == symbol })
	if code := strings.Fields(text); len(code) > 1 {
		text = strings.Join(code[:2], " ")
	}
	r.say("zz "+symbol, "watched queue %s: %s", r.name(symbol), text)
}

// cleanUp removes everything from a broker that thousands of programs use.
func (r *run) cleanUp(program []*operation) {
	for _, e := range r.ends {
		e.finish()
	}
	o := r.observer
	names := map[string]bool{}
	for _, op := range program {
		for _, symbol := range []string{op.queue, op.exchange, op.source} {
			if strings.HasPrefix(symbol, "@") {
				names[symbol] = true
			}
		}
	}
	for symbol := range r.symbols {
		if strings.HasPrefix(symbol, "$") {
			names[symbol] = true
		}
	}
	for _, op := range program {
		// A binding between two predeclared exchanges would stay.
		if op.do == "exchange.bind" && o.ready(1) {
			unbind := *op
			unbind.do = "exchange.unbind"
			m, reply := unbind.method(r.name)
			o.call(1, m, reply)
		}
	}
	for symbol := range names {
		name := []byte(r.name(symbol))
		for _, m := range []amqpproto.Method{&amqpproto.QueueDelete{Queue: name}, &amqpproto.ExchangeDelete{Exchange: name}} {
			if o.ready(1) {
				o.call(1, m, m.ID().Replies()[0])
			}
		}
	}
	o.finish()
}
