package broker

import (
	"encoding/binary"
	"reflect"
)

// mapAtOnce is how many octets of topology are written in one turn.
const mapAtOnce = 32 << 10

// mapping writes the topology again in slices, as the records that it was first
// written in. What is made and deleted meanwhile is recorded where that happens,
// so that the records from the first one on are all that is needed at the end.
type mapping struct {
	from   uint64 // number of the first record
	was    int64  // serverStore.topology at the beginning
	octets int64

	vhosts   []*vhost // still to be written, the first of them is at work
	phase    mapPhase
	things   *reflect.MapIter // the exchanges or queues of it; it bears changes
	exchange *exchange        // whose bindings are written, from the last
	left     int              // of its bindings
}

// mapPhase is what of a vhost is written. A binding's ends come before it.
type mapPhase uint8

const (
	mapExchanges mapPhase = iota
	mapQueues
	mapBindings
	mapDone
)

// mapLater has the topology written again in the turns to come.
func (s *Server) mapLater() {
	if s.mapping != nil || s.mappedAt != 0 && s.journal.Appended()-s.mappedTo < 2*s.topology {
		return // most of what is behind the last one is that one itself
	}
	// The highest queue id must not go with the old records. One part is missing
	// for ever, so that recovery goes by the records that follow.
	b := binary.AppendUvarint(append(s.item[:0], byte(recordTopology)), uint64(s.lastQueue))
	s.item = binary.AppendUvarint(b, 1)
	s.settleGone()
	m := &mapping{from: s.journal.Append(s.item), was: s.topology}
	for _, v := range s.vhosts {
		m.vhosts = append(m.vhosts, v)
	}
	s.mapping = m
	s.later(m)
}

func (m *mapping) step(s *Server) (done bool) {
	for len(m.vhosts) > 0 {
		if !s.charge(mapUnits, 0) {
			return false
		}
		m.next(s)
	}
	s.topology += m.octets - m.was
	s.mappedAt, s.mappedTo, s.mapping = m.from, s.journal.Appended(), nil
	s.flushLater() // there may be segments to release
	return true
}

// next writes one thing.
func (m *mapping) next(s *Server) {
	v := m.vhosts[0]
	switch m.phase {
	case mapExchanges:
		if x := next[*exchange](m, v.exchanges); x != nil && x.kept() && !x.gone {
			m.write(s, appendExchange(s.item[:0], x))
		}
	case mapQueues:
		if q := next[*queue](m, v.queues); q != nil && q.storeID != 0 && !q.unstored {
			m.write(s, appendQueue(s.item[:0], q))
		}
	case mapBindings:
		m.nextBinding(s, v)
	case mapDone:
		m.vhosts, m.phase = m.vhosts[1:], mapExchanges
	}
}

// nextBinding goes from the last binding of an exchange to the first: one that is
// taken out leaves its place to one from behind.
func (m *mapping) nextBinding(s *Server, v *vhost) {
	x := m.exchange
	if x == nil {
		if m.exchange = next[*exchange](m, v.exchanges); m.exchange != nil {
			m.left = len(m.exchange.bindings)
		}
		return
	}
	if m.left = min(m.left, len(x.bindings)); m.left == 0 || x.gone {
		m.exchange = nil
		return
	}
	m.left--
	if b := x.bindings[m.left]; b.kept() {
		m.write(s, appendBinding(s.item[:0], recordBinding, b))
	}
}

// next is the next thing of a map; nil ends the phase.
func next[T *exchange | *queue](m *mapping, all map[string]T) T {
	if m.things == nil {
		m.things = reflect.ValueOf(all).MapRange()
	}
	if m.things.Next() {
		return m.things.Value().Interface().(T)
	}
	m.things = nil
	m.phase++
	return nil
}

func (m *mapping) write(s *Server, b []byte) {
	s.item = b
	s.settleGone()
	s.journal.Append(b)
	s.flushLater()
	m.octets += int64(len(b))
}
