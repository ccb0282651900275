package broker

import (
	"fmt"
	"slices"
	"strings"

	"zamqp/amqpproto"
)

// topology is exchanges, queues and bindings as recovery reads them. Nothing is
// declared before all is read, so that a binding does not depend on which of its
// ends was written first.
type topology struct {
	exchanges map[string]*storedExchange
	queues    map[uint32]*storedQueue
	names     map[string]uint32 // of queues
	bindings  map[string]*storedBinding
	order     uint64
}

type storedExchange struct {
	vhost string
	spec  exchangeSpec
	order uint64
}

type storedQueue struct {
	vhost string
	spec  queueSpec
	order uint64
}

// storedBinding belongs to the ends that there were when it was made: it does
// not come back with new ones of the same names.
type storedBinding struct {
	vhost, source, destination string
	toExchange                 bool
	key                        string
	args                       amqpproto.RawTable
	sourceIs, targetIs         *storedExchange // nil: predeclared, or not known
	queueIs                    uint32
	order                      uint64
}

func newTopology() *topology {
	return &topology{exchanges: map[string]*storedExchange{}, queues: map[uint32]*storedQueue{}, names: map[string]uint32{}, bindings: map[string]*storedBinding{}}
}

// inVhost is a name of a thing in a vhost; names have no zero octets in AMQP's
// short strings that could make two the same, since the vhost's comes first and
// has its length before it.
func inVhost(vhost, name string) string { return fmt.Sprintf("%d:%s%s", len(vhost), vhost, name) }

// record takes the record of one thing.
func (t *topology) record(kind recordKind, c *cursor) {
	t.order++
	switch kind {
	case recordExchange:
		t.exchange(c)
	case recordNoExchange:
		vhost, name := string(c.octets()), string(c.octets())
		if c.end() {
			delete(t.exchanges, inVhost(vhost, name))
		}
	case recordQueue:
		t.queue(c)
	case recordNoQueue:
		id := c.id()
		if q := t.queues[id]; q != nil {
			if name := inVhost(q.vhost, q.spec.name); t.names[name] == id {
				delete(t.names, name)
			}
			delete(t.queues, id)
		}
	case recordBinding, recordNoBinding:
		identity := string(c.b)
		b := t.binding(c)
		if !c.end() {
			return
		}
		if kind == recordBinding {
			t.bindings[identity] = b
		} else {
			delete(t.bindings, identity)
		}
	default:
		c.bad = true
	}
}

func (t *topology) exchange(c *cursor) {
	x := &storedExchange{vhost: string(c.octets()), order: t.order}
	x.spec = exchangeSpec{name: string(c.octets()), kind: string(c.octets()), durable: true}
	flags := c.flags()
	x.spec.autoDelete, x.spec.internal = flags&flagAutoDelete != 0, flags&flagInternal != 0
	x.spec.args = slices.Clone(amqpproto.RawTable(c.octets()))
	name := inVhost(x.vhost, x.spec.name)
	if c.end() && t.exchanges[name] == nil { // there already: written in a topology, too
		t.exchanges[name] = x
	}
}

func (t *topology) queue(c *cursor) {
	id := c.id()
	q := &storedQueue{vhost: string(c.octets()), order: t.order}
	q.spec = queueSpec{name: string(c.octets()), durable: true, autoDelete: c.flags()&flagAutoDelete != 0}
	q.spec.args = slices.Clone(amqpproto.RawTable(c.octets()))
	if c.end() && t.queues[id] == nil {
		t.queues[id] = q
		t.names[inVhost(q.vhost, q.spec.name)] = id
	}
}

func (t *topology) binding(c *cursor) *storedBinding {
	b := &storedBinding{vhost: string(c.octets()), source: string(c.octets()), order: t.order}
	b.toExchange = c.flags()&flagToExchange != 0
	b.destination, b.key = string(c.octets()), string(c.octets())
	b.args = slices.Clone(amqpproto.RawTable(c.octets()))
	b.sourceIs = t.exchanges[inVhost(b.vhost, b.source)]
	if b.toExchange {
		b.targetIs = t.exchanges[inVhost(b.vhost, b.destination)]
	} else {
		b.queueIs = t.names[inVhost(b.vhost, b.destination)]
	}
	return b
}

// merge adds what another one knows.
func (t *topology) merge(o *topology) {
	for name, x := range o.exchanges {
		if t.exchanges[name] == nil {
			t.exchanges[name] = x
		}
	}
	for id, q := range o.queues {
		name := inVhost(q.vhost, q.spec.name)
		if t.queues[id] == nil && t.names[name] == 0 {
			t.queues[id] = q
			t.names[name] = id
		}
	}
	for identity, b := range o.bindings {
		if t.bindings[identity] == nil {
			b.sourceIs = t.exchanges[inVhost(b.vhost, b.source)]
			b.targetIs, b.queueIs = t.exchanges[inVhost(b.vhost, b.destination)], t.names[inVhost(b.vhost, b.destination)]
			t.bindings[identity] = b
		}
	}
}

// declare makes everything, in the order in which it was first made, and returns
// the queues by their ids.
func (t *topology) declare(s *Server) (map[uint32]*queue, error) {
	for _, x := range inOrder(t.exchanges, func(x *storedExchange) uint64 { return x.order }) {
		if v := s.storedVhost(x.vhost); v.exchanges[x.spec.name] == nil {
			v.makeExchange(x.spec)
		}
	}
	queues := map[uint32]*queue{}
	for id, stored := range t.queues {
		s.lastQueue = max(s.lastQueue, id)
		v := s.storedVhost(stored.vhost)
		if v.queues[stored.spec.name] != nil {
			continue // the record that said that the first one was deleted is lost
		}
		q, err := v.makeQueue(stored.spec, nil)
		if err != nil {
			return nil, fmt.Errorf("stored queue %q in vhost %q: %w", stored.spec.name, stored.vhost, err)
		}
		q.storeID = id
		queues[id] = q
		q.touch()
	}
	for _, b := range inOrder(t.bindings, func(b *storedBinding) uint64 { return b.order }) {
		t.bind(s.storedVhost(b.vhost), b, queues)
	}
	return queues, nil
}

// bind makes a binding, if its ends are still those that it was made for.
func (t *topology) bind(v *vhost, stored *storedBinding, queues map[uint32]*queue) {
	if !t.still(stored.vhost, stored.source, stored.sourceIs) {
		return
	}
	b := &binding{source: v.exchanges[stored.source], key: stored.key, args: stored.args}
	if stored.toExchange {
		if !t.still(stored.vhost, stored.destination, stored.targetIs) {
			return
		}
		b.target = v.exchanges[stored.destination]
	} else {
		b.queue = queues[stored.queueIs]
	}
	if b.source != nil && (b.queue != nil || b.target != nil) && b.source.known[b.identity()] == nil {
		v.linkBinding(b)
	}
}

func (t *topology) still(vhost, name string, x *storedExchange) bool {
	return strings.HasPrefix(name, "amq.") || x != nil && t.exchanges[inVhost(vhost, name)] == x
}

// storedVhost is a vhost, made if the options do not name it: what is in it
// should not be lost with a line of the configuration.
func (s *Server) storedVhost(name string) *vhost {
	if s.vhosts[name] == nil {
		s.vhosts[name] = s.newVhost(name)
	}
	return s.vhosts[name]
}

func inOrder[K comparable, V any](m map[K]V, order func(V) uint64) []V {
	all := make([]V, 0, len(m))
	for _, v := range m {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b V) int {
		if order(a) < order(b) {
			return -1
		}
		return 1
	})
	return all
}
