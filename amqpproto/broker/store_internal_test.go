package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
)

// storeHost is a host whose turns end when the test says so.
type storeHost struct {
	now    time.Time
	posted []func()
	work   []func()
	notes  []string
}

func (h *storeHost) Now() time.Time          { return h.now }
func (h *storeHost) WakeAt(time.Time)        {}
func (h *storeHost) Post(fn func())          { h.posted = append(h.posted, fn) }
func (h *storeHost) Offload(fn, done func()) { h.work = append(h.work, fn, done) }
func (h *storeHost) Note(e Event)            { h.notes = append(h.notes, fmt.Sprint(e.Kind, ": ", e.Err)) }

// turn ends a turn, and does the work that the broker has offloaded in it.
func (h *storeHost) turn() {
	for len(h.posted)+len(h.work) > 0 {
		posted, work := h.posted, h.work
		h.posted, h.work = nil, nil
		for _, fn := range append(posted, work...) {
			fn()
		}
	}
}

// shop is a broker with a store.
type shop struct {
	testing.TB
	*Server
	host *storeHost
	v    *vhost
	dir  string
}

func openShop(t testing.TB, o Options) *shop {
	t.Helper()
	h := &storeHost{now: time.Unix(1_700_000_000, 0)}
	s, err := New(o, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.CloseStore() })
	return &shop{t, s, h, s.vhosts["/"], o.DataDir}
}

// kill ends the process as kill -9 does: its files stay as the kernel has them, and their lock is
// released.
func (h *shop) kill() {
	h.Helper()
	h.host.turn()
	h.noteDeliveries()
	left := h.dir + ".left"
	if err := os.CopyFS(left, os.DirFS(h.dir)); err != nil {
		h.Fatal(err)
	}
	if err := os.RemoveAll(h.dir); err != nil {
		h.Fatal(err)
	}
	if err := os.Rename(left, h.dir); err != nil {
		h.Fatal(err)
	}
}

// diskSize is the octets of the store's segments, and their names, the oldest first.
func (h *shop) diskSize() (size int64, segments []string) {
	h.Helper()
	segments, err := filepath.Glob(filepath.Join(h.dir, storeName, "*.journal"))
	if err != nil {
		h.Fatal(err)
	}
	for _, name := range segments {
		info, err := os.Stat(name)
		if err != nil {
			h.Fatal(err)
		}
		size += info.Size()
	}
	return size, segments
}

func (h *shop) queue(name string, args amqpproto.RawTable) *queue {
	h.Helper()
	q, err := h.v.declareQueue(queueSpec{name: name, durable: true, args: args}, nil)
	if err != nil {
		h.Fatal(err)
	}
	return q
}

func (h *shop) publish(exchange, key, body string, more ...func(*amqpproto.Properties)) {
	h.Helper()
	props := amqpproto.Properties{DeliveryMode: 2}
	for _, f := range more {
		f(&props)
	}
	p := &publishing{exchange: []byte(exchange), key: []byte(key), body: []byte(body)}
	props.SetFlags()
	p.props, _ = props.Append(nil)
	if err := p.parse(); err != nil {
		h.Fatal(err)
	}
	if err := p.check(); err != nil {
		h.Fatal(err)
	}
	queues := h.v.route(h.v.exchanges[exchange], p, nil)
	if len(queues) == 0 {
		h.Fatalf("%s/%s: unroutable", exchange, key)
	}
	m := h.newMessage(p)
	h.storeMessage(m, queues)
	for _, q := range queues {
		q.push(m)
	}
	h.release(m)
}

// texts returns the bodies of the ready messages of a queue, which stay there.
func (h *shop) texts(q *queue) string {
	var all []string
	q.each(func(e entry) {
		text := string(h.body(e.msg))
		if e.redelivered {
			text += "!"
		}
		if e.deliveries > 0 {
			text += fmt.Sprint(e.deliveries)
		}
		all = append(all, text)
	})
	return strings.Join(all, " ")
}

func (h *shop) take(q *queue) entry {
	h.Helper()
	e, _, ok := q.get()
	if !ok {
		h.Fatalf("%s is empty", q.name)
	}
	return e
}

func (h *shop) want(q *queue, want string) {
	h.Helper()
	if got := h.texts(q); got != want {
		h.Errorf("%s holds %q, want %q", q.name, got, want)
	}
}

func TestMessagesOutliveTheProcess(t *testing.T) {
	o := Options{DataDir: t.TempDir()}
	h := openShop(t, o)
	q := h.queue("q", nil)
	h.queue("other", nil)
	x, err := h.v.declareExchange(exchangeSpec{name: "x", kind: "topic", durable: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"q", "other"} {
		if err := h.v.bindQueue([]byte(to), []byte("x"), []byte("a.#"), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	_ = x
	for i := range 5 {
		h.publish("", "q", fmt.Sprint(i))
	}
	h.publish("x", "a.b", "both")
	h.publish("", "q", "transient", func(p *amqpproto.Properties) { p.DeliveryMode = 1 })
	q.settle(h.take(q)) // 0
	out := h.take(q)    // 1
	q.settle(h.take(q)) // 2
	_ = out
	h.kill()

	h = openShop(t, o)
	h.want(h.v.queues["q"], "1! 3 4 both")
	h.want(h.v.queues["other"], "both")
	q = h.v.queues["q"]
	for q.messages() > 0 {
		q.settle(h.take(q))
	}
	q = h.v.queues["other"]
	q.requeue([]entry{h.take(q)})
	h.publish("x", "a", "new")
	h.kill()

	h = openShop(t, o)
	h.want(h.v.queues["q"], "new")
	h.want(h.v.queues["other"], "both! new")
	h.kill()
	if err := os.Remove(filepath.Join(o.DataDir, "broker", "board")); err != nil {
		t.Fatal(err)
	}
	h = openShop(t, o)
	h.want(h.v.queues["other"], "both! new!")
	if len(h.host.notes) != 0 {
		t.Error(h.host.notes)
	}
}

func TestAnOrderlyStopKnowsWhatWasDelivered(t *testing.T) {
	o := Options{DataDir: t.TempDir()}
	h := openShop(t, o)
	q := h.queue("q", nil)
	for i := range 4 {
		h.publish("", "q", fmt.Sprint(i))
	}
	q.requeue([]entry{h.take(q)})
	if err := h.CloseStore(); err != nil {
		t.Fatal(err)
	}
	h = openShop(t, o)
	h.want(h.v.queues["q"], "0! 1 2 3")
}

func TestQuorumQueuesCountDeliveriesAcrossCrashes(t *testing.T) {
	o := Options{DataDir: t.TempDir()}
	h := openShop(t, o)
	args, _ := amqpproto.AppendTable(nil, map[string]any{"x-queue-type": "quorum", "x-delivery-limit": int32(3)})
	h.queue("q", args)
	h.publish("", "q", "poison")
	h.publish("", "q", "good")
	for i := range 3 {
		h.take(h.v.queues["q"])
		h.kill()
		h = openShop(t, o)
		h.want(h.v.queues["q"], fmt.Sprintf("poison!%d good", i+1))
	}
}

func TestDeletedThingsStayDeleted(t *testing.T) {
	o := Options{DataDir: t.TempDir()}
	h := openShop(t, o)
	h.queue("gone", nil)
	h.publish("", "gone", "one")
	h.take(h.v.queues["gone"])
	h.publish("", "gone", "zero")
	h.queue("both", nil)
	if _, err := h.v.declareExchange(exchangeSpec{name: "f", kind: "fanout", durable: true}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"both", "gone"} {
		if err := h.v.bindQueue([]byte(to), []byte("f"), nil, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	h.publish("f", "", "shared")
	for range 2 {
		h.take(h.v.queues["gone"])
	}
	if _, err := h.v.deleteQueue([]byte("gone"), nil, false, false); err != nil {
		t.Fatal(err)
	}
	h.queue("gone", nil)
	if _, err := h.v.declareExchange(exchangeSpec{name: "x", kind: "direct", durable: true}); err != nil {
		t.Fatal(err)
	}
	if err := h.v.bindQueue([]byte("gone"), []byte("x"), []byte("k"), nil, nil); err != nil {
		t.Fatal(err)
	}
	h.publish("x", "k", "two")
	if err := h.v.deleteExchange([]byte("x"), false); err != nil {
		t.Fatal(err)
	}
	if _, err := h.v.declareExchange(exchangeSpec{name: "x", kind: "direct", durable: true}); err != nil {
		t.Fatal(err)
	}
	h.kill()
	h = openShop(t, o)
	h.want(h.v.queues["gone"], "two")
	h.want(h.v.queues["both"], "shared")
	if n := h.store.Messages(); n != 2 {
		t.Errorf("%d messages are stored for nobody", n-2)
	}
	if n := len(h.v.exchanges["x"].bindings); n != 0 {
		t.Errorf("%d bindings of another exchange that had this name", n)
	}
}

func TestTimeToLiveGoesOn(t *testing.T) {
	o := Options{DataDir: t.TempDir()}
	h := openShop(t, o)
	args, _ := amqpproto.AppendTable(nil, map[string]any{"x-message-ttl": int32(10_000)})
	h.queue("q", args)
	h.publish("", "q", "one")
	var before, after int64
	h.v.queues["q"].each(func(e entry) { before = e.expires })
	h.kill()
	h = openShop(t, o)
	h.v.queues["q"].each(func(e entry) { after = e.expires })
	if before == 0 || before != after {
		t.Errorf("the deadline was %d and is %d", before, after)
	}
}

func TestGarbageIsCollected(t *testing.T) {
	o := Options{DataDir: t.TempDir(), SegmentSize: 4 << 20}
	h := openShop(t, o)
	q, old := h.queue("q", nil), h.queue("old", nil)
	h.publish("", "old", "stays")
	body := strings.Repeat("x", 100_000)
	for range 1000 {
		h.publish("", "q", body)
		q.settle(h.take(q))
		h.host.turn()
	}
	size, segments := h.diskSize()
	if size > 6*o.SegmentSize {
		t.Errorf("%d octets for one message", size)
	}
	if strings.HasSuffix(segments[0], "0001.journal") {
		t.Error("the first segment is still there")
	}
	h.want(old, "stays")
	h.kill()
	h = openShop(t, o)
	h.want(h.v.queues["old"], "stays")
	h.want(h.v.queues["q"], "")
	if !slices.Equal(h.host.notes, nil) {
		t.Error(h.host.notes)
	}
}
