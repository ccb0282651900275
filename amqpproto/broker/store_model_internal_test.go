package broker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/tests/kit/crashfs"
)

// place is a message in a queue, as the model of the store knows it.
type place struct {
	queue string
	body  string
}

// fate is what must become of a place after a crash.
type fate struct {
	number    int    // of the publish
	stored    uint64 // the message must be there once this position is synced
	gone      uint64 // the message must not be there once this position is synced; 0 = it was not removed
	handed    bool   // the queue has handed it out
	delivered bool   // and a client may have got it
}

// storeModel runs random work on a broker whose store is in a file system that
// crashes, and knows what has to be there afterwards.
type storeModel struct {
	*shop
	rng    *rand.Rand
	fs     *crashfs.FS
	fates  map[place]*fate
	held   map[string][]entry // by queue
	number int
}

var modelQueues = []string{"a", "b", "limited", "gone"}

func (m *storeModel) open() {
	m.Helper()
	h := &storeHost{now: time.Unix(1_700_000_000, 0)}
	s, err := New(Options{DataDir: "d", Files: m.fs, SegmentSize: 3000}, h)
	if err != nil {
		m.Fatal(err)
	}
	m.shop = &shop{m.TB, s, h, s.vhosts["/"], "d"}
	m.held = map[string][]entry{}
	if len(h.notes) > 0 && !strings.HasPrefix(h.notes[0], "store cut") {
		m.Errorf("notes %q", h.notes)
	}
}

func (m *storeModel) declare() {
	for _, name := range modelQueues {
		var args amqpproto.RawTable
		if name == "limited" {
			args, _ = amqpproto.AppendTable(nil, map[string]any{"x-queue-type": "quorum", "x-delivery-limit": int32(1000)})
		}
		m.queue(name, args)
	}
	if _, err := m.v.declareExchange(exchangeSpec{name: "all", kind: "fanout", durable: true}); err != nil {
		m.Fatal(err)
	}
	for _, name := range modelQueues {
		if err := m.v.bindQueue([]byte(name), []byte("all"), nil, nil, nil); err != nil {
			m.Fatal(err)
		}
	}
	m.host.turn()
}

// step does one thing.
func (m *storeModel) step() {
	name := modelQueues[m.rng.IntN(len(modelQueues))]
	q := m.v.queues[name]
	switch op := m.rng.IntN(20); {
	case op < 6:
		m.number++
		body := fmt.Sprint(m.number, strings.Repeat(".", m.rng.IntN(200)))
		to := []string{name}
		if m.rng.IntN(3) == 0 {
			to = modelQueues
			m.publish("all", "", body)
		} else {
			m.publish("", name, body)
		}
		for _, t := range to {
			m.fates[place{t, body}] = &fate{number: m.number, stored: m.stored()}
		}
	case op < 11:
		if q.messages() > 0 {
			e := m.take(q)
			m.held[name] = append(m.held[name], e)
			m.fates[place{name, string(m.body(e.msg))}].handed = true
		}
	case op < 16 && len(m.held[name]) > 0:
		i := m.rng.IntN(len(m.held[name]))
		e := m.held[name][i]
		m.held[name] = slices.Delete(m.held[name], i, i+1)
		f := m.fates[place{name, string(m.body(e.msg))}]
		if m.rng.IntN(4) == 0 {
			q.requeue([]entry{e})
			break
		}
		q.settle(e)
		f.gone = m.stored()
	case op == 18 && m.rng.IntN(10) == 0:
		q.each(func(e entry) { m.fates[place{name, string(m.body(e.msg))}].gone = 1<<63 - 1 })
		q.purge()
		for _, f := range m.fates {
			if f.gone == 1<<63-1 {
				f.gone = m.stored()
			}
		}
	case op == 19 && m.rng.IntN(20) == 0:
		m.recreate()
	}
}

// recreate deletes a queue and makes another one of that name.
func (m *storeModel) recreate() {
	if _, err := m.v.deleteQueue([]byte("gone"), nil, false, false); err != nil {
		m.Fatal(err)
	}
	for p, f := range m.fates {
		if p.queue == "gone" && f.gone == 0 {
			f.gone = m.stored()
		}
	}
	for _, e := range m.held["gone"] { // the channel gives them back, and the queue is gone
		m.release(e.msg)
	}
	delete(m.held, "gone")
	m.queue("gone", nil)
	if err := m.v.bindQueue([]byte("gone"), []byte("all"), nil, nil, nil); err != nil {
		m.Fatal(err)
	}
}

// check compares what came back with what had to come back.
func (m *storeModel) check(synced uint64, killed bool, what string) {
	m.Helper()
	for _, name := range modelQueues {
		last := 0
		there := map[string]bool{}
		q := m.v.queues[name]
		if q == nil {
			m.Fatalf("%s: queue %s is lost", what, name)
		}
		q.each(func(e entry) {
			body := string(m.body(e.msg))
			there[body] = true
			f := m.fates[place{name, body}]
			if f == nil {
				m.Fatalf("%s: %s holds %.8q, which it never had", what, name, body)
			}
			if f.gone != 0 && f.gone <= synced {
				m.Errorf("%s: %s holds %.8q, which was gone", what, name, body)
			}
			if name != "limited" && f.number <= last {
				m.Errorf("%s: %s has %d after %d", what, name, f.number, last)
			}
			last = f.number
			if f.delivered && !e.redelivered || killed && e.redelivered && !f.handed {
				m.Errorf("%s: %s: %.8q redelivered is %v", what, name, body, e.redelivered)
			}
			f.stored, f.gone, f.handed, f.delivered = 0, 0, e.redelivered, e.redelivered
		})
		for p, f := range m.fates {
			if p.queue != name || there[p.body] {
				continue
			}
			if f.gone == 0 && f.stored <= synced {
				m.Errorf("%s: %s has lost %.8q", what, name, p.body)
			}
			delete(m.fates, p)
		}
	}
	held := map[string]bool{}
	for p := range m.fates {
		held[p.body] = true
	}
	if n := m.store.Messages(); n != len(held) {
		m.Errorf("%s: %d messages are stored, and queues hold %d", what, n, len(held))
	}
}

// live works until a crash, and returns what had been synced by then.
func (m *storeModel) live(kill bool) (synced uint64) {
	var crashed *crashfs.FS
	at := m.fs.Steps + 1 + m.rng.IntN(200)
	m.fs.During = func(string) {
		if m.fs.Steps >= at && crashed == nil {
			synced = m.synced()
			if kill {
				crashed = m.fs.Kill()
			} else {
				crashed = m.fs.Crash(m.rng)
			}
		}
	}
	for crashed == nil {
		for range m.rng.IntN(6) {
			m.step()
		}
		m.noteDeliveries()
		for _, f := range m.fates {
			f.delivered = f.handed && (f.delivered || crashed == nil)
		}
		if crashed == nil && m.rng.IntN(2) == 0 {
			m.host.turn()
		}
	}
	m.fs = crashed
	return synced
}

func TestStoreAgainstAModel(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		m := &storeModel{shop: &shop{TB: t}, rng: rand.New(rand.NewPCG(seed, 7)), fs: crashfs.New(), fates: map[place]*fate{}}
		m.open()
		m.declare()
		for life := range 12 {
			kill := m.rng.IntN(2) == 0
			synced := m.live(kill)
			m.open()
			m.check(synced, kill, fmt.Sprintf("seed %d, life %d, kill %v", seed, life, kill))
			if t.Failed() {
				return
			}
		}
	}
}

// secondSegment is the file of the second segment; "" if there is only one.
func (m *storeModel) secondSegment() string {
	all, err := m.fs.Names("d/broker")
	if err != nil {
		m.Fatal(err)
	}
	slices.Sort(all)
	var segments []string
	for _, name := range all {
		if strings.HasSuffix(name, ".journal") {
			segments = append(segments, name)
		}
	}
	if len(segments) < 2 {
		return ""
	}
	return "d/broker/" + segments[1]
}

// TestCutTopology cuts a segment at every octet. A segment begins with all declarations: if that
// beginning is not whole, nothing may be missing.
func TestCutTopology(t *testing.T) {
	m := &storeModel{shop: &shop{TB: t}, rng: rand.New(rand.NewPCG(1, 7)), fs: crashfs.New(), fates: map[place]*fate{}}
	m.open()
	m.declare()
	var name string
	for name == "" {
		m.publish("", "a", strings.Repeat("x", 500))
		m.host.turn()
		name = m.secondSegment()
	}
	whole := m.fs.Kill()
	for size := 0; size < len(whole.Files[name].Data); size += 1 + size/50 {
		m.fs = whole.Kill()
		m.fs.Files[name].Data = m.fs.Files[name].Data[:size]
		for range 2 {
			m.open()
			for _, q := range modelQueues {
				if m.v.queues[q] == nil {
					t.Fatalf("%d octets: queue %s is lost", size, q)
				}
			}
			if n := len(m.v.exchanges["all"].bindings); n != len(modelQueues) {
				t.Fatalf("%d octets: %d bindings", size, n)
			}
			m.queue("new", nil)
			m.queue("newer", nil)
			m.host.turn()
			m.fs = m.fs.Kill()
		}
	}
}
