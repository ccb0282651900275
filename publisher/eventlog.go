package publisher

// An eventLog keeps the last events of a topic, numbered in the order in which they came.
type eventLog struct {
	events []*topicEvent // a ring
	start  int           // index of the oldest one
	count  int
	first  uint64            // number of the oldest one
	octets int               // that the kept events use
	most   int               // how many events are kept
	limit  int               // how many octets are kept
	ids    map[string]uint64 // numbers by id; nil without a history
}

// A topicEvent is an event as a topic keeps it. Once it is in the log, only its encodings change:
// each is made when it is first needed.
type topicEvent struct {
	Event
	data        []byte
	hasData     bool
	contentType string // of the data
	forms       [formats][]byte
	octets      int
}

// eventOverhead is about the memory that an event uses besides its octets.
const eventOverhead = 256

func newEventLog(t Topic) eventLog {
	l := eventLog{most: t.Events, limit: int(t.Octets), first: 1}
	if !t.NoHistory {
		l.ids = map[string]uint64{}
	}
	return l
}

// end is the number of the event that comes next.
func (l *eventLog) end() uint64 { return l.first + uint64(l.count) }

// get returns the event with a number, which must be kept.
func (l *eventLog) get(seq uint64) *topicEvent {
	return l.events[(l.start+int(seq-l.first))%len(l.events)]
}

// has reports whether an event with that id is kept.
func (l *eventLog) has(id string) bool {
	_, has := l.ids[id]
	return has
}

// after returns the number of the event that follows the one with that id. If that one is not
// kept, it returns the number of the oldest event.
func (l *eventLog) after(id string) (seq uint64, found bool) {
	if seq, found = l.ids[id]; found {
		return seq + 1, true
	}
	return l.first, false
}

// add adds an event, and first drops the oldest ones until there is room.
func (l *eventLog) add(e *topicEvent) {
	for l.count > 0 && (l.count >= l.most || l.octets+e.octets > l.limit) {
		l.drop()
	}
	if l.count == len(l.events) {
		l.grow()
	}
	l.events[(l.start+l.count)%len(l.events)] = e
	if l.ids != nil && e.ID != "" {
		l.ids[e.ID] = l.end()
	}
	l.count++
	l.octets += e.octets
}

func (l *eventLog) drop() {
	e := l.events[l.start]
	if l.ids[e.ID] == l.first { // and no later one has the same id
		delete(l.ids, e.ID)
	}
	l.events[l.start] = nil
	l.start = (l.start + 1) % len(l.events)
	l.count--
	l.first++
	l.octets -= e.octets
}

func (l *eventLog) grow() {
	ring := make([]*topicEvent, min(max(2*len(l.events), 16), l.most))
	for i := range l.count {
		ring[i] = l.get(l.first + uint64(i))
	}
	l.events, l.start = ring, 0
}

// form returns the octets of an event in a form.
func (l *eventLog) form(e *topicEvent, f eventFormat) []byte {
	if e.forms[f] == nil {
		e.forms[f] = eventEncoders[f](make([]byte, 0, len(e.data)+len(e.ID)+len(e.Name)+64), e)
		e.octets += len(e.forms[f])
		l.octets += len(e.forms[f])
	}
	return e.forms[f]
}
