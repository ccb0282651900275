package publisher

// A subscription is the place of one subscriber among the events of a topic. Its memory
// belongs to the subscriber. Loop thread only.
type subscription struct {
	topic      *topic
	to         subscriber
	filter     func(e *Event) bool // nil passes all
	seq        uint64              // number of the event that it gets next
	at         int                 // octets of that event that it has got already
	blocked    bool                // the subscriber has no room
	over       bool
	prev, next *subscription // in the list of the topic that it is in
}

// room says that the subscriber can take more.
func (s *subscription) room() {
	if s.blocked && !s.over {
		s.unlink()
		s.topic.place(s)
	}
}

// end ends the subscription. The subscriber is not told.
func (s *subscription) end() {
	if s.topic != nil && !s.over {
		s.over = true
		s.unlink()
		s.topic.stats.subscribers--
	}
}

// partial reports whether the subscriber has got a part of an event, and not yet the rest.
func (s *subscription) partial() bool { return s.at > 0 && !s.over }

func (s *subscription) unlink() {
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = nil, nil
}

// subscriptions is a list of subscriptions, linked through them in a ring that begins and
// ends at root. So nothing is allocated, and one list takes all of another at once.
type subscriptions struct{ root subscription }

func (l *subscriptions) init() { l.root.prev, l.root.next = &l.root, &l.root }

func (l *subscriptions) empty() bool { return l.root.next == &l.root }

// first is the first subscription, or nil.
func (l *subscriptions) first() *subscription {
	if l.empty() {
		return nil
	}
	return l.root.next
}

// add puts a subscription that is in no list at the end.
func (l *subscriptions) add(s *subscription) {
	s.prev, s.next = l.root.prev, &l.root
	s.prev.next, s.next.prev = s, s
}

// addFirst puts a subscription that is in no list at the beginning.
func (l *subscriptions) addFirst(s *subscription) {
	s.prev, s.next = &l.root, l.root.next
	s.prev.next, s.next.prev = s, s
}

// take moves all subscriptions of another list to the end of this one.
func (l *subscriptions) take(other *subscriptions) {
	if other.empty() {
		return
	}
	first, last := other.root.next, other.root.prev
	first.prev, last.next = l.root.prev, &l.root
	first.prev.next, l.root.prev = first, last
	other.init()
}
