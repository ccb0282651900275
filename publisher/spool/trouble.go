package spool

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// patience is how long messages are still accepted while the disk takes nothing. Most such
// errors have passed by then, except a full disk.
const patience = 5 * time.Second

// Refuses returns why the disk is the reason that nothing can be added, or nil.
func (s *Spool) Refuses(now time.Time) error {
	err := s.trouble()
	if err == nil {
		return nil
	}
	if s.since.IsZero() {
		s.since = now
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || now.Sub(s.since) >= patience || s.Busy() {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	return nil
}

// Busy reports whether so much waits for the disk that more should wait elsewhere. What waits
// must fit into the reserve if the disk becomes full.
func (s *Spool) Busy() bool {
	return s.err == nil && s.o.Reserve > 0 && s.behind() > s.o.Reserve/2
}

// trouble returns why the disk takes nothing now, or only records that free space; nil
// if all is well.
func (s *Spool) trouble() error {
	if err := s.queue.Trouble(); err != nil {
		return err
	}
	return s.rejected.Trouble()
}

// troubled is called by one of the journals.
func (s *Spool) troubled(err error) {
	if err == nil {
		if err = s.trouble(); err == nil {
			s.since = time.Time{}
		}
	}
	if s.o.Troubled != nil {
		s.o.Troubled(err)
	}
}
