package outbox_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"zamqp/tests/kit/process"
)

// A moment is one at which a server that sends rows is killed.
type moment struct {
	name   string
	before func(r *rig)             // before rows are there
	when   func(r *rig, n int) bool // it is this moment
	after  func(r *rig)             // between the kill and the next start
	copies int                      // of each message
}

var moments = []moment{
	{
		name:   "between commit and publish",
		before: func(r *rig) { r.wire.set(true, false) },
		when:   func(r *rig, n int) bool { return r.rows() == n },
		after:  func(r *rig) { r.wire.set(false, false) },
		copies: 1,
	}, {
		name:   "between publish and confirm",
		before: func(r *rig) { r.wire.set(false, true) },
		when:   func(r *rig, n int) bool { return len(r.copies()) == n },
		after:  func(r *rig) { r.wire.set(true, false); r.wire.set(false, false) },
		copies: 2,
	}, {
		name:   "between confirm and removal",
		before: func(r *rig) { r.refuseDelete() },
		when:   func(r *rig, n int) bool { return len(r.copies()) == n && r.rows() == n },
		after:  func(r *rig) { r.allowDelete() },
		copies: 2,
	},
}

// refuseDelete makes the removal of rows fail.
func (r *rig) refuseDelete() {
	if r.driver == "sqlite" {
		r.exec("CREATE TRIGGER refuse BEFORE DELETE ON zamqp_outbox BEGIN SELECT RAISE(ABORT, 'not now'); END")
		return
	}
	r.exec("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$")
	r.exec("CREATE TRIGGER refuse BEFORE DELETE ON zamqp_outbox FOR EACH ROW EXECUTE FUNCTION refuse()")
}

func (r *rig) allowDelete() {
	if r.driver == "sqlite" {
		r.exec("DROP TRIGGER refuse")
		return
	}
	r.exec("DROP TRIGGER refuse ON zamqp_outbox")
}

// TestKill: a server is killed at each moment in the life of a row. The next one sends what has no
// confirm, in the order of each key.
func TestKill(t *testing.T) {
	for _, m := range moments {
		t.Run(m.name, func(t *testing.T) {
			each(t, func(r *rig) {
				const n = 50
				first := r.serve()
				r.insert(r.db, -1, "k.first") // so that it is connected
				r.await("the server sends", func() bool { return r.waiting() == 0 })
				r.forget()
				m.before(r)
				r.put(0, n, five)
				r.await(m.name, func() bool { return m.when(r, n) })
				first.Kill()
				m.after(r)
				r.serve()
				r.await("all have come", func() bool { return r.all(n) })
				for id, copies := range r.copies() {
					if copies > m.copies {
						r.Errorf("%s came %d times, want %d at most", id, copies, m.copies)
					}
				}
			})
		})
	}
}

// forget forgets what has come.
func (r *rig) forget() {
	r.mu.Lock()
	r.received = nil
	r.mu.Unlock()
}

// TestFrozen: the server that sends is frozen with rows on their way. Another one goes on when the
// lease is over. The first one does no harm when it wakes up.
func TestFrozen(t *testing.T) {
	each(t, func(r *rig) {
		const n = 50
		servers := map[string]*server{}
		for range 2 {
			s := r.serve()
			servers[fmt.Sprint(s.Pid())] = s
			r.await("the server is connected", func() bool {
				return strings.Contains(s.get(r, "/metrics"), `zamqp_connection_up{connection="default"} 1`)
			})
		}
		r.wire.set(false, true)
		r.put(0, n, five)
		var pid int
		r.await("a server has the lease, and the messages are on their way", func() bool {
			holder := ""
			_ = r.db.QueryRow("SELECT holder FROM zamqp_outbox_lease").Scan(&holder)
			_, _ = fmt.Sscanf(holder[lastSlash(holder)+1:], "%d", &pid)
			return len(r.copies()) == n
		})
		frozen := servers[fmt.Sprint(pid)]
		process.Freeze(r, frozen.Pid())
		r.wire.set(false, false)
		r.put(n, 2*n, five)
		r.await("the other one sends all", func() bool { return r.all(2 * n) })
		if err := frozen.Signal(syscall.SIGCONT); err != nil {
			r.Fatal(err)
		}
		r.put(2*n, 3*n, five)
		r.await("both live", func() bool { return r.all(3 * n) })
	})
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}
