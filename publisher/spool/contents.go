package spool

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"zamqp/amqpproto/journal"
)

// List reads the contents of a directory without changing it: first the messages that wait to
// be sent, oldest first, and then the rejected ones. each gets views, valid only during the
// call. The error is [journal.ErrLocked], wrapped, while a process has the spool open.
func List(dir string, queued func(*Entry), rejected func(*Rejected)) error {
	var out uint64
	gone := map[uint64]bool{}
	err := readRecords(filepath.Join(dir, queueDir), func(kind byte, rest []byte) error {
		n, err := uint64(0), error(nil)
		switch kind {
		case recordState:
			if n, err = scanNumber(rest); err == nil {
				out = max(out, n)
			}
		case recordGone:
			if n, err = scanNumber(rest); err == nil {
				gone[n] = true
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	err = listRejected(filepath.Join(dir, rejectedDir), func(a *Rejected) { gone[a.Number] = true })
	if err != nil {
		return err
	}
	err = readRecords(filepath.Join(dir, queueDir), func(kind byte, rest []byte) error {
		if kind != recordGroup {
			return nil
		}
		return scanGroup(rest, func(g group, number uint64, m Message) {
			if number >= out && !gone[number] {
				queued(&Entry{Number: number, Since: g.at, Message: m})
			}
		})
	})
	if err != nil {
		return err
	}
	return listRejected(filepath.Join(dir, rejectedDir), rejected)
}

func listRejected(dir string, rejected func(*Rejected)) error {
	last := map[uint64]int{} // index of the last record of each number
	i := 0
	err := readRecords(dir, func(kind byte, rest []byte) error {
		i++
		n, err := scanFirst(rest)
		if kind == recordGone {
			delete(last, n)
		} else {
			last[n] = i
		}
		return err
	})
	if err != nil {
		return err
	}
	i = 0
	return readRecords(dir, func(kind byte, rest []byte) error {
		if i++; kind != recordRejected {
			return nil
		}
		a, err := scanRejected(rest)
		if err == nil && last[a.Number] == i {
			rejected(&a)
		}
		return err
	})
}

// scanFirst reads the number at the beginning of a record.
func scanFirst(rest []byte) (uint64, error) {
	s := scanner{rest: rest}
	n := s.number()
	if s.bad {
		return 0, errRecord
	}
	return n, nil
}

func readRecords(dir string, each func(kind byte, rest []byte) error) error {
	_, err := journal.Read(dir, nil, func(_ uint64, rec []byte) error {
		if len(rec) == 0 {
			return unknown(rec)
		}
		return each(rec[0], rec[1:])
	})
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// Drop deletes a message that waits to be sent or was rejected. The deletion is on disk some
// time after the next Flush.
func (s *Spool) Drop(number uint64) error {
	if s.err != nil {
		return s.err
	}
	if size, ok := s.rejections[number]; ok {
		s.rejected.Append(appendNumber(nil, recordGone, number))
		s.rejectedBytes -= int64(size)
		delete(s.rejections, number)
		return nil
	}
	if _, gone := s.gone[number]; gone || number < s.out || number >= s.next {
		return fmt.Errorf("the spool has no message %d", number)
	}
	s.forget(number)
	return nil
}

// Retry puts rejected messages behind those that wait to be sent. It is for programs without
// a loop: it works on the owner's thread and waits for the disk. After a kill in the middle,
// a message may be in both places.
func (s *Spool) Retry(now time.Time, numbers []uint64) error {
	var moved []uint64
	c := s.rejected.Cursor(1)
	defer c.Close()
	for {
		seq, rec, err := c.Next(s.rejected.Synced())
		if err != nil {
			return err
		}
		if seq == 0 {
			break
		}
		if rec[0] != recordRejected {
			continue
		}
		a, err := scanRejected(rec[1:])
		if err != nil {
			return err
		}
		if _, there := s.rejections[a.Number]; !there || !slices.Contains(numbers, a.Number) || slices.Contains(moved, a.Number) {
			continue
		}
		var outcome error
		// The message leaves the rejected ones, which makes room for it.
		s.rejectedBytes -= int64(s.rejections[a.Number])
		err = s.Add(now, []Message{a.Message}, func(err error) { outcome = err })
		s.rejectedBytes += int64(s.rejections[a.Number])
		if err == nil {
			err = errors.Join(s.Sync(), outcome)
		}
		if err != nil {
			return err
		}
		if err := s.Drop(a.Number); err != nil {
			return err
		}
		moved = append(moved, a.Number)
	}
	return s.Sync()
}

// Compact frees the space of messages that are no longer among the rejected ones. As Retry, it
// is for programs without a loop.
func (s *Spool) Compact() error {
	if s.err != nil {
		return s.err
	}
	if s.rejected.Size() < 2*s.rejectedBytes+s.o.SegmentSize {
		return s.Sync()
	}
	if err := s.Sync(); err != nil {
		return err
	}
	last := s.rejected.Last()
	c := s.rejected.Cursor(1)
	defer c.Close()
	seen := map[uint64]bool{}
	for {
		seq, rec, err := c.Next(last)
		if err != nil {
			return err
		}
		if seq == 0 || seq > last {
			break
		}
		if rec[0] != recordRejected {
			continue
		}
		a, err := scanRejected(rec[1:])
		if err != nil {
			return err
		}
		if _, there := s.rejections[a.Number]; there && !seen[a.Number] {
			seen[a.Number] = true
			s.rejected.Append(rec)
			if s.rejected.Behind() > encoderKeep {
				if err := s.rejected.Sync(); err != nil {
					return err
				}
			}
		}
	}
	s.rejected.Append(appendNumber(nil, recordGone, 0)) // so that a new segment begins
	s.rejected.Release(last + 1)
	return s.Sync()
}
