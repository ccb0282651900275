package outbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

var errStopping = errors.New("the server stops")

// A sweep is a pass over the rows, from the lowest id up. Usually each read begins at the lowest id
// and leaves out what is on its way: a row with a low id may become visible late, and must not be
// overtaken by later ones of its key. Only while rows of some keys wait, each read goes on where the
// last one has ended, because there may be very many of those.
type sweep struct {
	after  int64           // where the next read begins; 0 unless rows are skipped
	skips  bool            // rows were skipped, because their keys wait
	read   time.Time       // when rows were last read
	end    bool            // there was nothing more
	began  time.Time       // when the sweep began, or its first row was not taken
	ended  time.Time       // when its end was reached after that; zero before
	held   map[string]bool // keys whose rows wait for one that was not taken
	before map[string]bool // keys that have waited: one row of each is sent, to see whether there is room
	probed map[string]bool // those of before whose row was sent in this sweep
	sooner bool            // there was room: the next sweep need not wait
	failed int             // rows that were not taken in this sweep
	pause  time.Duration   // before the next sweep, if rows were not taken
	idle   time.Time       // since when there is nothing to do; zero if there is
	busy   time.Duration   // another process has the lease: how long to wait
}

func (s *sweep) begin() {
	s.after, s.skips, s.end, s.began, s.ended, s.busy, s.sooner = 0, false, false, time.Now(), time.Time{}, 0, false
	if s.failed == 0 {
		s.pause = 0
	}
	s.failed = 0
	if s.before == nil {
		s.held, s.before, s.probed = map[string]bool{}, map[string]bool{}, map[string]bool{}
	}
	maps.Copy(s.before, s.held) // what is in it already has no outcome yet
	clear(s.held)
	clear(s.probed)
}

// more says that there are more rows.
func (s *sweep) more() { s.end, s.idle = false, time.Time{} }

// another returns how long to wait while another process has the lease.
func (s *sweep) another() time.Duration {
	s.busy = min(max(2*s.busy, backoffMin), pollEvery/2)
	return s.busy
}

// hold makes the rows of a key wait for the next sweep.
func (s *sweep) hold(key string) {
	s.held[key] = true
	if s.failed++; s.failed == 1 {
		if s.began, s.ended = time.Now(), (time.Time{}); s.end {
			s.ended = s.began
		}
	}
	if s.failed == 1 || s.pause == 0 {
		s.pause = min(max(2*s.pause, 2*backoffMin), backoffMax)
	}
	if len(s.held) >= heldKeys {
		s.stop()
	}
}

// took says that a row was taken. If its key has waited, there is room again, and the others of the
// key need not wait.
func (s *sweep) took(r *Row) {
	if len(s.before) > 0 && s.before[r.key()] {
		delete(s.before, r.key())
		s.pause, s.sooner = 0, true
	}
}

// waits reports whether a row has to wait for another one of its key.
func (s *sweep) waits(key string) bool {
	if s.held[key] || s.probed[key] {
		return true
	}
	if s.before[key] {
		s.probed[key] = true
	}
	return false
}

// stop says that the end is reached, or that no more rows are read before the next sweep.
func (s *sweep) stop() {
	if s.end = true; s.ended.IsZero() {
		s.ended = time.Now()
	}
}

// again reports whether there is another sweep for rows that wait, and due how long it has to wait. It
// begins only after the end of this one, and at least half of the time nothing is read again.
func (s *sweep) again() bool { return s.skips || s.failed > 0 }

func (s *sweep) due() time.Duration {
	switch {
	case s.failed == 0 && s.sooner:
		return 0
	case s.ended.IsZero():
		return sweepEvery
	case s.failed == 0:
		return sweepEvery - time.Since(s.began)
	}
	return max(s.pause, 2*s.ended.Sub(s.began)) - time.Since(s.began)
}

// key is what the order of rows depends on.
func (r *Row) key() string { return string(r.Exchange) + "\x00" + string(r.RoutingKey) }

// advance sends what may be sent now, with the lease in hand.
func (d *Dispatcher) advance(ctx context.Context) (wait time.Duration, err error) {
	if ours, err := d.hold(ctx); err != nil || !ours {
		return 0, err
	}
	switch {
	case d.down.any(): // what is on its way gets its outcome first
		if d.fresh > 0 {
			return lease / 3, nil
		}
		d.yield(ctx)
		return d.down.wait, nil
	case d.fresh >= flyingRows || d.octets >= flyingOctets || len(d.flying)-d.fresh >= lateRows:
		return lease / 3, nil
	}
	s := &d.sweep
	switch {
	case s.again() && s.due() <= 0:
		s.begin()
	case len(s.held) >= heldKeys:
		return s.due(), nil
	case s.end && time.Since(s.read) < pollEvery:
		return d.rest(ctx)
	}
	s.read = time.Now()
	rows, err := d.table.fetch(ctx, s.after, d.flying)
	if err != nil {
		return 0, err
	}
	if len(rows) == 0 {
		s.stop()
		return d.rest(ctx)
	}
	last := rows[len(rows)-1].ID
	if d.send(rows); s.skips {
		s.after = last
	}
	return 0, nil
}

// rest is what follows when all rows have been read.
func (d *Dispatcher) rest(ctx context.Context) (wait time.Duration, err error) {
	s := &d.sweep
	if len(d.flying) > 0 || s.failed > 0 {
		s.idle = time.Time{}
		if !s.again() {
			return pollEvery, nil
		}
		return max(min(s.due(), pollEvery), time.Millisecond), nil
	}
	if s.idle.IsZero() {
		s.idle = time.Now()
		d.note(func(s *Stats) { s.Waiting, s.Oldest = 0, time.Time{} })
	}
	if left := linger - time.Since(s.idle); left > 0 {
		return left, nil
	}
	d.yield(ctx)
	return 0, nil // looks once more: rows may have been committed by other processes meanwhile
}

// send gives rows to the connection, without those that wait for another one of their key.
func (d *Dispatcher) send(rows []*Row) {
	late := map[string]bool{}
	for _, f := range d.flying {
		if f.late {
			late[f.row.key()] = true
		}
	}
	if len(late)+len(d.sweep.held)+len(d.sweep.before) > 0 {
		n := len(rows)
		rows = slices.DeleteFunc(rows, func(r *Row) bool { key := r.key(); return late[key] || d.sweep.waits(key) })
		d.sweep.skips = d.sweep.skips || len(rows) < n
	}
	if len(rows) == 0 {
		return
	}
	d.sweep.idle = time.Time{}
	for _, r := range rows {
		d.flying[r.ID] = &flight{row: r}
		d.fresh++
		d.octets += r.size()
	}
	d.o.Sender.Send(rows, d.until.Add(-sendReserve), d.report)
}

// hear takes the outcomes that have come.
func (d *Dispatcher) hear() {
	d.mu.Lock()
	list := d.reports
	d.reports = nil
	d.mu.Unlock()
	for _, x := range list {
		f := d.flying[x.row.ID]
		if f == nil || f.row != x.row {
			continue
		}
		if !f.late {
			d.fresh--
		}
		if x.o == Late {
			f.late = true
			continue
		}
		delete(d.flying, x.row.ID)
		d.octets -= x.row.size()
		d.judge(x)
	}
}

// judge decides what happens to a row.
func (d *Dispatcher) judge(x report) {
	switch x.o {
	case Sent:
		d.gone = append(d.gone, x.row.ID)
		d.sweep.took(x.row)
		d.note(func(s *Stats) { s.Sent++ })
		if d.down.tried() {
			d.down.over(d.log, "the outbox is sent again")
			d.note(func(s *Stats) { s.Down = nil })
		}
	case Expired:
		d.gone = append(d.gone, x.row.ID)
		d.note(func(s *Stats) { s.Expired++ })
	case Refused:
		x.row.Body, x.row.Properties = nil, nil
		d.aside = append(d.aside, x)
	case Again:
		d.sweep.hold(x.row.key())
		d.note(func(s *Stats) { s.Again++ })
		d.refusal.again(d.log, x)
	default:
		if !d.down.any() { // all rows on their way tell of the same
			d.isDown(errors.New(x.why))
		}
		d.note(func(s *Stats) { s.Again++ })
	}
}

// settle removes what was confirmed, and keeps what was refused with its reason.
func (d *Dispatcher) settle(ctx context.Context) error {
	for len(d.gone) > 0 {
		n := min(len(d.gone), removeRows)
		if err := d.table.remove(ctx, d.gone[:n]); err != nil {
			return err
		}
		d.note(func(s *Stats) { s.Waiting = max(0, s.Waiting-int64(n)) })
		d.gone = slices.Delete(d.gone, 0, n)
	}
	d.refusal.aside(d.log, d.aside)
	for len(d.aside) > 0 {
		x := d.aside[0]
		if err := d.table.aside(ctx, x.row.ID, x.why); err != nil {
			return err
		}
		d.aside = d.aside[1:]
		d.note(func(s *Stats) { s.Refused++; s.Aside++; s.Waiting = max(0, s.Waiting-1) })
	}
	d.aside = nil
	return nil
}
