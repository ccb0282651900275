package broker

import (
	"errors"
	"math"
	"syscall"
)

// diskRoom is what the broker knows about the free space on its disk. The space was measured
// some time ago. Writes since then are counted, so that the disk is measured again before it
// is full.
type diskRoom struct {
	trouble error // why the store takes nothing, or only records that free space
	low     bool  // everything that may be written was written
	lags    bool  // more octets wait to be written than the store's reserve could take

	end    int64 // number of appended and announced octets at which the space is low
	lookAt int64 // the same number at which the disk is measured again
	coming int64 // octets of bodies whose headers have arrived and which have not
}

// holds reports whether publishers have to wait.
func (d *diskRoom) holds() bool { return d.trouble != nil || d.low || d.lags }

// isFull reports whether the disk is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// DiskMark returns the place up to which the store is on disk, for DiskRoom. Call it before
// you measure the disk.
func (s *Server) DiskMark() int64 { return s.store.Appended() - s.behind() }

// DiskRoom says that the store may write room octets after mark. When half of them are used,
// the broker calls [Options.LookAtDisk], which asks for a new measurement. When all of them
// are used, publishers wait, as they do for memory, until there are more than again octets.
// low reports whether they wait.
func (s *Server) DiskRoom(mark, room, again int64) (low bool) {
	d := &s.disk
	left := mark + room - s.store.Appended() - d.coming
	d.end, d.lookAt = mark+room, mark+room-left/2
	s.setLow(left <= 0 || d.low && left <= again, left)
	return d.low
}

// setLow begins or ends the wait for space on the disk.
func (s *Server) setLow(low bool, left int64) {
	d := &s.disk
	if low {
		d.lookAt = math.MaxInt64 // from now on the disk is measured at intervals
	}
	if low == d.low {
		return
	}
	d.low = low
	kind := DiskUnblocked
	if low {
		kind = DiskBlocked
	}
	s.host.Note(Event{Kind: kind, Octets: left})
	s.updateAlarm()
}

// wrote is called when the store has grown.
func (s *Server) wrote() {
	d := &s.disk
	if s.opts.Reserve > 0 && !d.lags && s.behind() > s.opts.Reserve/8*7 {
		d.lags = true
		s.updateAlarm()
	}
	at := s.store.Appended() + d.coming
	if at < d.lookAt {
		return
	}
	d.lookAt = d.end
	if at >= d.end {
		s.setLow(true, d.end-at)
	}
	if s.opts.LookAtDisk != nil {
		s.opts.LookAtDisk()
	}
}

// caughtUp is called when the store has put something on disk.
func (s *Server) caughtUp() {
	if s.disk.lags && s.behind() <= s.opts.Reserve/2 {
		s.disk.lags = false
		s.updateAlarm()
	}
}

// announce records how many octets of a body are still to arrive on a channel; 0 when they
// have arrived, or will not.
func (ch *channel) announce(octets uint64) {
	s := ch.conn.server
	if s.store == nil || octets == 0 && ch.announced == 0 {
		return
	}
	s.disk.coming += int64(octets) - ch.announced
	ch.announced = int64(octets)
	if octets > 0 {
		s.wrote()
	}
}

// storeTroubled is called with an error when the disk takes nothing for now, and with nil
// when it works again.
func (s *Server) storeTroubled(err error) {
	s.disk.trouble = err
	kind := StoreRecovered
	if err != nil {
		kind = StoreTroubled
	}
	s.host.Note(Event{Kind: kind, Err: err})
	s.updateAlarm()
}
