package store

import (
	"fmt"
	"slices"
	"strings"

	"zamqp/amqpproto"
)

// topology has exchanges, queues and bindings as recovery reads them. Nothing is declared
// before everything is read, so that a binding does not depend on which of its ends was
// written first.
type topology struct {
	exchanges map[string]*readExchange
	queues    map[uint32]*Queue
	names     map[string]uint32 // ids of queues
	bindings  map[string]*readBinding
	order     uint64
}

type readExchange struct {
	Exchange
	order uint64
}

// readBinding belongs to the ends that existed when it was made: it does not come back with
// new ones of the same names.
type readBinding struct {
	Binding
	sourceIs, targetIs *readExchange // nil: predeclared, or not known
	queueIs            uint32
	order              uint64
}

func newTopology() *topology {
	return &topology{exchanges: map[string]*readExchange{}, queues: map[uint32]*Queue{}, names: map[string]uint32{}, bindings: map[string]*readBinding{}}
}

// inVhost is the name of a thing in a vhost, as a key. Two different things have different
// keys, since the vhost's name comes first, with its length before it.
func inVhost(vhost, name string) string { return fmt.Sprintf("%d:%s%s", len(vhost), vhost, name) }

// record reads the record of one thing.
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
			if name := inVhost(q.Vhost, q.Name); t.names[name] == id {
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
	x := &readExchange{order: t.order}
	x.Vhost, x.Name, x.Kind = string(c.octets()), string(c.octets()), string(c.octets())
	flags := c.flags()
	x.AutoDelete, x.Internal = flags&flagAutoDelete != 0, flags&flagInternal != 0
	x.Args = slices.Clone(amqpproto.RawTable(c.octets()))
	name := inVhost(x.Vhost, x.Name)
	if c.end() && t.exchanges[name] == nil { // it exists already: it was written in a topology, too
		t.exchanges[name] = x
	}
}

func (t *topology) queue(c *cursor) {
	q := &Queue{ID: c.id(), Vhost: string(c.octets()), Name: string(c.octets()), AutoDelete: c.flags()&flagAutoDelete != 0}
	q.Args = slices.Clone(amqpproto.RawTable(c.octets()))
	if c.end() && t.queues[q.ID] == nil {
		t.queues[q.ID] = q
		t.names[inVhost(q.Vhost, q.Name)] = q.ID
	}
}

func (t *topology) binding(c *cursor) *readBinding {
	b := &readBinding{order: t.order}
	b.Vhost, b.Source = string(c.octets()), string(c.octets())
	b.ToExchange = c.flags()&flagToExchange != 0
	b.Destination, b.Key = string(c.octets()), string(c.octets())
	b.Args = slices.Clone(amqpproto.RawTable(c.octets()))
	b.sourceIs = t.exchanges[inVhost(b.Vhost, b.Source)]
	if b.ToExchange {
		b.targetIs = t.exchanges[inVhost(b.Vhost, b.Destination)]
	} else {
		b.queueIs = t.names[inVhost(b.Vhost, b.Destination)]
	}
	return b
}

// merge adds what another topology knows.
func (t *topology) merge(o *topology) {
	for name, x := range o.exchanges {
		if t.exchanges[name] == nil {
			t.exchanges[name] = x
		}
	}
	for id, q := range o.queues {
		name := inVhost(q.Vhost, q.Name)
		if t.queues[id] == nil && t.names[name] == 0 {
			t.queues[id] = q
			t.names[name] = id
		}
	}
	for identity, b := range o.bindings {
		if t.bindings[identity] == nil {
			b.sourceIs = t.exchanges[inVhost(b.Vhost, b.Source)]
			b.targetIs, b.queueIs = t.exchanges[inVhost(b.Vhost, b.Destination)], t.names[inVhost(b.Vhost, b.Destination)]
			t.bindings[identity] = b
		}
	}
}

// restore declares everything again, exchanges and bindings in the order in which they were
// first made.
func (t *topology) restore(s *Store, to Restorer) error {
	for _, x := range inOrder(t.exchanges, func(x *readExchange) uint64 { return x.order }) {
		to.RestoreExchange(x.Exchange)
	}
	for id, q := range t.queues {
		s.lastQueue = max(s.lastQueue, id)
		if err := to.RestoreQueue(*q); err != nil {
			return fmt.Errorf("stored queue %q in vhost %q: %w", q.Name, q.Vhost, err)
		}
	}
	for _, b := range inOrder(t.bindings, func(b *readBinding) uint64 { return b.order }) {
		if t.still(b.Vhost, b.Source, b.sourceIs) && (!b.ToExchange || t.still(b.Vhost, b.Destination, b.targetIs)) {
			to.RestoreBinding(b.Binding, b.queueIs)
		}
	}
	return nil
}

// still reports whether an exchange is still the one that a binding was made for.
func (t *topology) still(vhost, name string, x *readExchange) bool {
	return strings.HasPrefix(name, "amq.") || x != nil && t.exchanges[inVhost(vhost, name)] == x
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
