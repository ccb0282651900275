package publisher

import "sort"

// Stats are the server's counts since its start.
type Stats struct {
	Requests  uint64 // HTTP requests dispatched
	Messages  uint64 // messages dispatched
	Failures  uint64 // calls that ended in an error
	Panics    uint64 // how many of the failures were panics
	Undone    uint64 // calls that were aborted because of the status of their answer
	Conflicts uint64 // runs that were repeated after a conflict
	Children  uint64 // functions given to Go that were started
	Boxed     uint64 // publishes that became rows of an outbox
	Refused   uint64 // requests answered without a handler: no route, too many calls
}

// A Status is the state of one part that the server depends on.
type Status struct {
	Kind   string `json:"kind"` // connection, consumer, clock, spool, broker, keepalive, outbox
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"` // why it is not ready
}

// A Reporter reports the state of parts of the server; doors are reporters.
type Reporter interface{ Report() []Status }

// AddReporter adds the parts of a reporter to [Server.Snapshot].
func (s *Server) AddReporter(r Reporter) { s.reporters = append(s.reporters, r) }

// A Snapshot is what the server is doing now.
type Snapshot struct {
	Stats
	Live     int
	Draining bool
	Started  bool // the server has been ready in a Snapshot, this one included
	Parts    []Status
}

// Snapshot collects counts and states.
func (s *Server) Snapshot() Snapshot {
	snap := Snapshot{Stats: s.stats, Live: len(s.live), Draining: s.draining}
	for _, r := range s.reporters {
		snap.Parts = append(snap.Parts, r.Report()...)
	}
	sort.Slice(snap.Parts, func(i, j int) bool {
		a, b := snap.Parts[i], snap.Parts[j]
		return a.Kind < b.Kind || a.Kind == b.Kind && a.Name < b.Name
	})
	s.started = s.started || snap.Ready()
	snap.Started = s.started
	return snap
}

// Ready reports whether every part is ready and the server takes calls.
func (s *Snapshot) Ready() bool {
	for _, part := range s.Parts {
		if !part.Ready {
			return false
		}
	}
	return !s.Draining
}
