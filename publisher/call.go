package publisher

import (
	"errors"
	"net/http"
	"runtime/debug"

	"zamqp/loop/coro"
)

// Run is the call's task: the handler, the commit, the outcome. After a conflict it runs them
// again at once, because only a call that lost a race meets a conflict.
func (c *Call) Run(t *coro.Task) {
	r := c.Request()
	s := r.server
	r.main.task, r.main.self = t, coro.Self()
	r.enter(&r.main)
	stop := r.startLimit()
	err := r.attempt(r.handle)
	for again := 0; again < s.options.ConflictRetries && errors.Is(err, ErrConflict) && r.mayRunAgain(); again++ {
		s.stats.Conflicts++
		if r.span != nil {
			r.span.Again(err)
		}
		err = r.attemptAgain(r.handle)
	}
	if err != nil {
		err = r.source.failed(r, err)
	}
	r.measure()
	if r.response.stream != nil && (err == nil || isAnswered(err)) {
		if broken := r.runStream(); broken != nil {
			err = broken
		}
	}
	r.settle(err) // an error page may wait, too
	if stop != nil {
		stop()
	}
	if r.socket != nil {
		r.socket.finish(err)
	}
	s.runtime.Enter(nil)
	s.finish(r)
}

// mayRunAgain reports whether the handler would find what it has found before.
func (r *Request) mayRunAgain() bool { return !r.response.begun && r.incoming == nil }

// attemptAgain is attempt after an earlier one.
func (r *Request) attemptAgain(h func() error) error {
	r.tx.reset()
	r.response.reset()
	return r.attempt(h)
}

// attempt runs a handler in the transaction, which is fresh, and commits or aborts it.
func (r *Request) attempt(h func() error) error {
	err := r.join(guard(h))
	if err == nil {
		err = r.join(guard(r.end))
	}
	if err != nil {
		err = r.tx.lost(checkError(err))
		r.abort()
		_ = r.join(nil)
	}
	return err
}

// checkError returns err, or the panic that a method of err has caused. Those methods are the
// handler's code, and a typed nil is the usual mistake. Later, nothing would catch that
// panic.
func checkError(err error) error {
	panicked := guard(func() error {
		_, _, _ = err.Error(), IsPermanent(err), errors.Is(err, ErrConflict)
		_, _ = statusOf(err)
		return nil
	})
	if panicked != nil {
		return panicked
	}
	return err
}

// handle calls the handler that the source has set.
func (r *Request) handle() error { return r.handler(r) }

// end adds the reply to the publishes and commits. The reply is sent last, so that everything
// else is done when it arrives.
func (r *Request) end() error {
	if err := r.undo(); err != nil {
		return err
	}
	return r.endWith()
}

// endWith does the work of end, whatever the status of the answer is.
func (r *Request) endWith() error {
	if err := r.source.reply(r); err != nil {
		return err
	}
	return r.commit()
}

// guard calls f and turns its panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}

// settle makes the outcome of the call and, after a failure, the answer.
func (r *Request) settle(err error) {
	r.outcome = Outcome{Err: err, Settlement: SettleAck}
	if err == nil {
		if !r.response.set {
			_ = r.answer(http.StatusNoContent, "", nil)
		}
		return
	}
	r.source.settle(r, err)
}
