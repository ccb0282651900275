package broker

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"

	"zamqp/amqpproto/broker/store"
)

// storeName is the directory of the store in Options.DataDir.
const storeName = "broker"

// openStore reads the data directory, and from then on keeps it up to date. The operator has
// to act on an error: the broker does not start with less than it had, unless the missing
// part is lost.
func (s *Server) openStore() error {
	if s.opts.DataDir == "" {
		return nil
	}
	if s.opts.BodyMax > store.BodyMax {
		return fmt.Errorf("broker: with a data directory a body may have at most %d octets, and BodyMax is %d", store.BodyMax, s.opts.BodyMax)
	}
	s.disk.lookAt = math.MaxInt64
	dir := filepath.Join(s.opts.DataDir, storeName)
	o := store.Options{SegmentSize: s.opts.SegmentSize, Reserve: s.opts.Reserve, Files: s.opts.Files}
	opened, report, err := store.Open(dir, o, (*storeOwner)(s), &restorer{s: s, queues: map[uint32]*queue{}})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	s.store = opened
	for _, err := range report.Damage {
		s.host.Note(Event{Kind: StoreReported, Err: err})
	}
	if report.Torn > 0 {
		s.host.Note(Event{Kind: StoreCut, Octets: report.Torn})
	}
	return nil
}

// CloseStore waits until everything is on disk and releases the data directory. All
// connections must be closed before.
func (s *Server) CloseStore() error { return s.store.Close() }

// storeOwner is the broker as the store sees it.
type storeOwner Server

var _ store.Owner = (*storeOwner)(nil)

func (o *storeOwner) server() *Server { return (*Server)(o) }

func (o *storeOwner) Now() int64              { return o.server().now() }
func (o *storeOwner) WakeAt(at int64)         { o.server().wakeAt(at) }
func (o *storeOwner) Post(fn func())          { o.host.Post(fn) }
func (o *storeOwner) Offload(fn, done func()) { o.host.Offload(fn, done) }
func (o *storeOwner) Charge() bool            { return o.server().charge(storeUnits, 0) }

func (o *storeOwner) Later(step func() (done bool)) { o.server().later(storeChore(step)) }

type storeChore func() bool

func (step storeChore) step(*Server) (done bool) { return step() }

func (o *storeOwner) Synced() {
	s := o.server()
	s.caughtUp()
	s.onSynced()
	s.checkMemory()
}

func (o *storeOwner) Failed(err error) {
	s := o.server()
	s.host.Note(Event{Kind: StoreFailed, Err: err})
	s.onSynced()
	s.checkMemory()
}

func (o *storeOwner) Trouble(err error) { o.server().storeTroubled(err) }

func (o *storeOwner) Message(id uint32) store.Message {
	s := o.server()
	return s.storeForm(s.slabs.at(id))
}

func (o *storeOwner) Lent(id uint32, record uint64) {
	s := o.server()
	s.lend(record, s.slabs.at(id).large)
}

func (o *storeOwner) Durable(w *store.Writer) {
	for _, v := range o.vhosts {
		for _, x := range v.exchanges {
			if x.inStore() {
				w.Exchange(x.storeForm())
			}
		}
		for _, q := range v.queues {
			if q.inStore() {
				w.Queue(q.storeForm())
			}
		}
		for _, x := range v.exchanges {
			for _, b := range x.bindings {
				if b.inStore() {
					w.Binding(b.storeForm())
				}
			}
		}
	}
}

func (o *storeOwner) Walk() store.Walk {
	w := &storeWalk{}
	for _, v := range o.vhosts {
		w.vhosts = append(w.vhosts, v)
	}
	return w
}

// storeWalk goes through all vhosts.
type storeWalk struct {
	vhosts   []*vhost // vhosts that are still to be walked; the first of them is being walked
	phase    walkPhase
	things   *reflect.MapIter // its exchanges or queues; they may change during the walk
	exchange *exchange        // the exchange whose bindings are walked, from the last to the first
	left     int              // index into its bindings
}

// walkPhase is the part of a vhost that is walked. Both ends of a binding come
// before the binding.
type walkPhase uint8

const (
	walkExchanges walkPhase = iota
	walkQueues
	walkBindings
	walkDone
)

func (w *storeWalk) Next(to *store.Writer) (done bool) {
	if len(w.vhosts) == 0 {
		return true
	}
	v := w.vhosts[0]
	switch w.phase {
	case walkExchanges:
		if x := next[*exchange](w, v.exchanges); x != nil && x.inStore() && !x.gone {
			to.Exchange(x.storeForm())
		}
	case walkQueues:
		if q := next[*queue](w, v.queues); q != nil && q.inStore() {
			to.Queue(q.storeForm())
		}
	case walkBindings:
		w.nextBinding(v, to)
	case walkDone:
		w.vhosts, w.phase = w.vhosts[1:], walkExchanges
	}
	return false
}

// nextBinding goes from the last binding of an exchange to the first. When a binding is
// deleted, a later one takes its place, and that one has been walked already.
func (w *storeWalk) nextBinding(v *vhost, to *store.Writer) {
	x := w.exchange
	if x == nil {
		if w.exchange = next[*exchange](w, v.exchanges); w.exchange != nil {
			w.left = len(w.exchange.bindings)
		}
		return
	}
	if w.left = min(w.left, len(x.bindings)); w.left == 0 || x.gone {
		w.exchange = nil
		return
	}
	w.left--
	if b := x.bindings[w.left]; b.inStore() {
		to.Binding(b.storeForm())
	}
}

// next returns the next thing of a map; nil ends the phase.
func next[T *exchange | *queue](w *storeWalk, all map[string]T) T {
	if w.things == nil {
		w.things = reflect.ValueOf(all).MapRange()
	}
	if w.things.Next() {
		return w.things.Value().Interface().(T)
	}
	w.things = nil
	w.phase++
	return nil
}

// restorer creates the things in the broker that the store has kept.
type restorer struct {
	s      *Server
	queues map[uint32]*queue // queues by their ids in the store
	p      publishing
}

var _ store.Restorer = (*restorer)(nil)

func (r *restorer) RestoreMessage(stored store.Restored) (id uint32, ok bool) {
	p := &r.p
	p.exchange, p.key, p.props, p.body = stored.Exchange, stored.Key, stored.Props, stored.Body
	if p.parse() != nil || p.check() != nil {
		return 0, false
	}
	p.bcc = append(p.bcc[:0], stored.BCC...)
	m := r.s.newMessage(p)
	m.seq = stored.Seq
	r.s.memory += store.MessageSize
	return m.id, true
}

func (r *restorer) ReleaseMessage(id uint32, stored bool) {
	m := r.s.slabs.at(id)
	if !stored {
		r.s.isForgotten(m)
	}
	r.s.release(m)
}

// vhost returns a vhost, and creates it if the options do not name it: removing a line of the
// configuration must not lose the content of the vhost.
func (r *restorer) vhost(name string) *vhost {
	if r.s.vhosts[name] == nil {
		r.s.vhosts[name] = r.s.newVhost(name)
	}
	return r.s.vhosts[name]
}

func (r *restorer) RestoreExchange(x store.Exchange) {
	if v := r.vhost(x.Vhost); v.exchanges[x.Name] == nil {
		v.makeExchange(exchangeSpec{name: x.Name, kind: x.Kind, durable: true, autoDelete: x.AutoDelete, internal: x.Internal, args: x.Args})
	}
}

func (r *restorer) RestoreQueue(stored store.Queue) error {
	v := r.vhost(stored.Vhost)
	if v.queues[stored.Name] != nil {
		return nil // the record that deleted the first one is lost
	}
	q, err := v.makeQueue(queueSpec{name: stored.Name, durable: true, autoDelete: stored.AutoDelete, args: stored.Args}, nil)
	if err != nil {
		return err
	}
	q.storeID = stored.ID
	r.queues[stored.ID] = q
	q.touch()
	return nil
}

func (r *restorer) RestoreBinding(stored store.Binding, queue uint32) {
	v := r.vhost(stored.Vhost)
	b := &binding{source: v.exchanges[stored.Source], key: stored.Key, args: stored.Args}
	if stored.ToExchange {
		b.target = v.exchanges[stored.Destination]
	} else {
		b.queue = r.queues[queue]
	}
	if b.source != nil && (b.queue != nil || b.target != nil) && b.source.known[b.identity()] == nil {
		v.linkBinding(b)
	}
}

func (r *restorer) Enqueue(id, queue uint32, published int64, deliveries uint32, redelivered bool) bool {
	q := r.queues[queue]
	if q == nil {
		return false
	}
	if !q.typ.countsDeliveries {
		deliveries = 0
	}
	q.restore(r.s.slabs.at(id), published*1e6, deliveries, redelivered)
	return true
}
