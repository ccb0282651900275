package publisher

import (
	"errors"
	"fmt"
	"strconv"

	"zamqp/loop/coro"
)

// Savepoint runs fn, and undoes what it has done if it fails: its statements, its publishes and
// its events. Then it returns the error of fn, and the transaction goes on. It also saves a
// transaction that a failed statement would otherwise end. Savepoints may be nested.
//
// fn runs where Savepoint is called, as a part of the handler. It is for the transaction of one
// database; the answer, and what fn did elsewhere, stay. What other functions given to
// [Request.Go] do meanwhile in the call is undone, too; they cannot have savepoints of their own
// at the same time.
func (s *SQL) Savepoint(fn func() error) error {
	t := s.t
	name, err := s.enterSavepoint()
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended { // fn has panicked
			_ = s.leaveSavepoint(fmt.Errorf("%s: the function of a savepoint has panicked", t.name))
		}
	}()
	if err := s.control("SAVEPOINT " + name); err != nil {
		ended = true
		return errors.Join(err, s.leaveSavepoint(nil))
	}
	mark, err := s.mark()
	if err == nil {
		err = fn()
	}
	ended = true
	if err == nil {
		if err = s.control("RELEASE SAVEPOINT " + name); err == nil {
			return s.leaveSavepoint(nil)
		}
	}
	if failed := s.undoTo(name, mark); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// control runs a statement that the end of the call does not end: the transaction would be
// unknown after it.
func (s *SQL) control(statement string) error {
	t := s.t
	return t.work(s.r, func() error {
		_, err := t.tx.ExecContext(t.ctx, statement)
		return t.failure(err)
	})
}

// enterSavepoint notes whose savepoints these are.
func (s *SQL) enterSavepoint() (name string, err error) {
	self := coro.Identity()
	err = s.r.do(func(*Request) error {
		t := s.t
		if t.depth > 0 && t.saver != self {
			return fmt.Errorf("%s: another function of this call has a savepoint open: take savepoints in one function after the other", t.name)
		}
		t.saver = self
		t.depth++
		name = "zamqp_" + strconv.Itoa(t.depth)
		return nil
	})
	return name, err
}

// leaveSavepoint is the end of a savepoint. If it is broken, the transaction cannot commit.
func (s *SQL) leaveSavepoint(broken error) error {
	return s.r.do(func(*Request) error {
		s.t.depth--
		if broken != nil && !s.t.busy && s.t.broken == nil {
			s.t.broken = broken
		}
		return nil
	})
}

// A txMark is a place in a transaction, to which it can go back.
type txMark struct {
	pubs, arena, events, gets int
	err                       error
	failed, conflict          error // of the database
}

func (s *SQL) mark() (m txMark, err error) {
	err = s.r.do(func(r *Request) error {
		x := &r.tx
		m = txMark{len(x.pubs), len(x.arena), len(x.events), len(x.gets), x.err, nil, nil}
		if !s.t.busy {
			m.failed, m.conflict = s.t.failed, s.t.conflict
		}
		return nil
	})
	return m, err
}

// undoTo rolls the database back to a savepoint, and takes back what the call was going to send.
func (s *SQL) undoTo(name string, m txMark) error {
	t := s.t
	err := t.work(s.r, func() error {
		_, err := t.tx.ExecContext(t.ctx, "ROLLBACK TO SAVEPOINT "+name)
		if err == nil {
			_, err = t.tx.ExecContext(t.ctx, "RELEASE SAVEPOINT "+name)
		}
		if err == nil {
			t.failed, t.conflict = m.failed, m.conflict
		}
		return t.failure(err)
	})
	if err != nil {
		err = fmt.Errorf("the savepoint cannot be restored: %w", err)
		return errors.Join(err, s.leaveSavepoint(err))
	}
	return s.r.do(func(r *Request) error {
		t.depth--
		r.tx.undoTo(m)
		return nil
	})
}

// undoTo takes back what was added after the mark.
func (t *Tx) undoTo(m txMark) {
	for _, settle := range t.gets[m.gets:] {
		settle(false)
	}
	clear(t.gets[m.gets:])
	clear(t.pubs[m.pubs:])
	clear(t.events[m.events:])
	t.gets, t.pubs, t.events, t.arena, t.err = t.gets[:m.gets], t.pubs[:m.pubs], t.events[:m.events], t.arena[:m.arena], m.err
}
