package main

import (
	"fmt"
	"regexp"
	"time"
)

// A contestant is one server that takes part in a workload.
type contestant struct {
	name  string // as printed: "fasthttp, 1 core"
	prog  *program
	procs int // GOMAXPROCS; 0 leaves it alone
}

// A workload is one job that every contestant does alone.
type workload struct {
	name        string // for -only
	title       string
	unit        string // what is counted: request, message, connection
	what        string // one sentence for the page
	broker      bool   // needs RabbitMQ
	memory      bool   // measures bytes and not time
	memoryKind  string // which memory; private if empty
	latency     bool   // the duration of one unit counts
	tail        bool   // the duration of the slowest hundredth counts
	share       int    // of so many of -messages, one is measured; 0 means 1
	once        bool   // takes so long that only the first round measures it
	contestants []contestant
	run         func(*bench, contestant) (sample, error)
	goals       []goal
}

// A sample is the result of one contestant in one round.
type sample struct {
	count int
	wall  time.Duration
	cpu   time.Duration // of the server process
	bytes int64         // private memory, for a memory workload
	p50   time.Duration // for a tail workload
	p99   time.Duration
	max   time.Duration // the longest unit
}

// rate is in units a second.
func (s sample) rate() float64 { return float64(s.count) / s.wall.Seconds() }

// cost is the figure that is compared; less is better. It is CPU microseconds a
// unit, octets of private memory a connection, or the microseconds of the slowest
// hundredth.
func (s sample) cost(memory bool) float64 {
	if s.p99 > 0 {
		return float64(s.p99.Microseconds())
	}
	if memory {
		return float64(s.bytes) / float64(s.count)
	}
	return float64(s.cpu.Nanoseconds()) / 1e3 / float64(s.count)
}

// ours is the name of our own server in every workload.
const ours = "zamqp"

// goCores lists a Go program twice: on one core, like a reactor, and with the
// default of Go.
func goCores(name string, prog *program) []contestant {
	return []contestant{{name + ", 1 core", prog, 1}, {name, prog, 0}}
}

func catalog(o *options) []workload {
	p := programs()
	if o.profile != "" {
		p.zamqp = p.zamqpBench // only this one writes profiles; it has all handlers
	}
	hello := append([]contestant{{ours, p.zamqp, 0}, {"evio", p.evio, 0}, {"gnet", p.gnet, 0}},
		append(goCores("fasthttp", p.fasthttp), goCores("net/http", p.nethttp)...)...)
	clients := append(goCores("amqp091-go", p.amqp091), goCores("streadway/amqp", p.streadway)...)
	clients = append(clients, contestant{"pika", p.pika, 0}, contestant{"librabbitmq", p.librabbitmq, 0})
	withBench := append([]contestant{{ours, p.zamqpBench, 0}}, clients...)
	withHello := append([]contestant{{ours, p.zamqp, 0}}, clients...)
	computes := append([]contestant{{ours, p.zamqpBench, 0}, {computeOutside, p.zamqpBench, 0}, {computeNowhere, p.zamqpBench, 0}},
		goCores("net/http", p.nethttp)...)
	beside := append([]contestant{{ours, p.zamqpBench, 0}}, goCores("net/http", p.nethttp)...)
	secure := append([]contestant{{ours, p.zamqp, 0}}, goCores("net/http", p.nethttp)...)
	orders := append([]contestant{{ours, p.zamqp, 0}}, goCores("net/http + amqp091-go", p.orders)...)
	all := append([]workload{
		{name: "http-plain", title: "HTTP GET /hello", unit: "request", contestants: hello, run: httpPlain, goals: []goal{cheapest()},
			what: "`wrk -t1 -c64`, one request at a time on each connection."},
		{name: "http-pipelined", title: "HTTP GET /hello, 16 deep", unit: "request", contestants: hello, run: httpPipelined,
			what: "`wrk -t1 -c64`, sixteen requests in one write."},
		{name: "http-mounted", title: "Kinds of handlers that answer a GET", unit: "request", contestants: mounted(&p), run: httpMounted,
			goals: []goal{costsAtMost(inlineName, "net/http", 0.8), costsAtMost(httpName, "net/http", 1.2)},
			what: "`wrk -t1 -c64`, one request at a time on each connection: our own handler, handlers of net/http that are mounted, our own inside of middleware of net/http and of ours, " +
				"and our own that start two children, await another goroutine, and offload."},
		{name: "https-plain", title: "HTTPS GET /hello", unit: "request", contestants: secure, run: httpsPlain, goals: []goal{cheapest()},
			what: "`wrk -t1 -c64` over TLS 1.3 with AES-128-GCM, one request at a time on each connection."},
		{name: "https-handshake", title: "HTTPS handshake and one GET /hello", unit: "connection", contestants: secure, run: handshakes,
			what: "Four clients connect again and again, each time with a whole handshake (ECDSA, P-256), and ask once."},
		{name: "http-compute", title: "HTTP GET /hello beside work that computes", unit: "request", tail: true, contestants: computes, run: httpCompute,
			goals: []goal{slowestWithin(2 * time.Millisecond)},
			what: "`wrk -t1 -c1`, while four other requests at a time each compute for some 50 ms: in `r.Offload`, or in the handler's goroutine. " +
				"For reference: the same server while four processes of nice 19 compute, and while nothing computes."},
		{name: "file-100k", title: "HTTP GET of a file of 100 KiB", unit: "request", contestants: beside, run: getFile(100),
			what: "`wrk -t1 -c64`; `publisher.Files` beside `http.FileServerFS`, a directory of the disk, the file in the page cache."},
		{name: "file-10m", title: "HTTP GET of a file of 10 MiB", unit: "request", contestants: beside, run: getFile(10 << 10),
			what: "The same with a file of 10 MiB."},
		{name: "http-slow", title: "HTTP GET /hello beside slow readers", unit: "request", tail: true, contestants: beside, run: httpSlow,
			goals: []goal{slowestWithin(10 * time.Millisecond)},
			what:  "`wrk -t1 -c1`, while 1,000 clients come that read 32 octets of a stream of 3 MB every 5 s, and after they have come."},
		{name: "rpc-slow", title: "RPC over AMQP beside slow readers", unit: "call", broker: true, tail: true, contestants: beside[:1], run: rpcSlow,
			goals: []goal{slowestWithin(20 * time.Millisecond)},
			what:  "One request at a time to an echo consumer, beside the same clients."},
		{name: "slow-memory", title: "Memory of a slow reader", unit: "connection", memory: true, contestants: beside, run: slowMemory,
			what: "The same clients: private memory of the process (`smaps_rollup`) when all have come, less what it had before."},
		{name: "consume", title: "AMQP consume and ack", unit: "message", broker: true, contestants: withBench, run: consume,
			goals: []goal{atMost(7), timesCheaper("amqp091-go, 1 core", 20.0/7), timesCheaper("librabbitmq", 10.0/7)},
			what:  "Messages of 256 B with content type, correlation id and two headers wait in a queue; prefetch is 1000; a handler looks at each and it is acked."},
		{name: "publish", title: "AMQP publish and confirm", unit: "message", broker: true, contestants: withBench, run: publish,
			what: "The same messages, published with at most 1000 unconfirmed. zamqp does it from HTTP-born calls whose transactions publish 250 each, four at a time; that cost is included."},
		{name: "orders", title: "HTTP POST → publish → confirm → 202, and the consumer", unit: "request", broker: true, contestants: orders, run: orders64,
			goals: []goal{atMost(25), timesCheaper("net/http + amqp091-go, 1 core", 61.0/25)},
			what:  "`wrk -t1 -c64` posts JSON orders; the answer follows the broker's confirm; a consumer in the same process takes each order from the queue and acks it."},
		{name: "rpc-1", title: "RPC over AMQP, 1 outstanding", unit: "call", broker: true, contestants: withHello, run: rpc1,
			what: "A client sends requests to an echo consumer through the broker (`reply_to`, `correlation_id`), one request at a time."},
		{name: "rpc-64", title: "RPC over AMQP, 64 outstanding", unit: "call", broker: true, contestants: withHello, run: rpc64,
			what: "The same with 64 requests outstanding."},
		{name: "idle", title: "Memory of an idle connection", unit: "connection", memory: true, contestants: hello, run: idle,
			what: "Keep-alive connections that have had one answer each and then stay silent: private memory of the process (`smaps_rollup`), less what it had before."},
		{name: "events", title: "Server-sent events to many clients", unit: "event", contestants: beside, run: events, goals: []goal{cheapest()},
			what: "10,000 clients follow a topic. Twenty events of 100 B are sent, each when all clients have got the one before. Counted is each event for each client."},
		{name: "events-memory", title: "Memory of a client that follows a topic", unit: "connection", memory: true, contestants: beside, run: eventsMemory,
			what: "The same clients, after one event: private memory of the process (`smaps_rollup`), less what it had before."},
	}, append(socketWorkloads(p), append(tracedWorkloads(&p), brokerWorkloads(p)...)...)...)
	if o.before != "" {
		return withBefore(all)
	}
	return all
}

// choose applies -only and -skip. A smoke run leaves out a program that differs
// from another one only in GOMAXPROCS: it would run the same code again.
func choose(all []workload, o *options) []workload {
	var chosen []workload
	for _, w := range all {
		var keep []contestant
		seen := make(map[*program]bool)
		for _, c := range w.contestants {
			name := w.name + "/" + c.name
			if matches(o.only, name, true) && !matches(o.skip, name, false) && !(o.smoke && seen[c.prog]) {
				keep = append(keep, c)
				seen[c.prog] = true
			}
		}
		if w.contestants = keep; len(keep) > 0 {
			chosen = append(chosen, w)
		}
	}
	return chosen
}

func matches(re *regexp.Regexp, name string, absent bool) bool {
	if re == nil {
		return absent
	}
	return re.MatchString(name)
}

// measure runs every contestant of every workload once in each round. Each round
// begins with another contestant, so that none always runs on a cold or a hot
// machine.
func (b *bench) measure(workloads []workload) ([]*result, error) {
	results := make([]*result, len(workloads))
	for i := range workloads {
		results[i] = newResult(workloads[i])
	}
	for round := range b.rounds {
		for i, w := range workloads {
			b.running = w.name
			for k := range w.contestants {
				at := (round + k) % len(w.contestants)
				c := w.contestants[at]
				if done := results[i].samples[at]; w.once && len(done) > 0 {
					results[i].samples[at] = append(done, done[0])
					continue
				}
				b.progress("round %d of %d: %s/%s", round+1, b.rounds, w.name, c.name)
				s, err := w.run(b, c)
				if b.ctx.Err() != nil {
					return nil, b.ctx.Err()
				}
				if err != nil {
					return nil, fmt.Errorf("%s/%s: %w", w.name, c.name, err)
				}
				results[i].samples[at] = append(results[i].samples[at], s)
			}
		}
	}
	b.progress("")
	return results, nil
}
