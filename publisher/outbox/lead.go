package outbox

import (
	"context"
	"time"
)

// lead takes the lease if there is something to send and the connection can send it.
func (d *Dispatcher) lead(ctx context.Context) (wait time.Duration, err error) {
	oldest, there, err := d.table.oldest(ctx)
	if err != nil {
		return 0, err
	}
	d.note(func(s *Stats) {
		if s.Oldest = oldest; !there {
			s.Waiting, s.Down = 0, nil
		}
	})
	if !there {
		d.down.over(d.log, "the outbox is empty again")
		return pollEvery, nil
	}
	if err := d.probe(ctx); err != nil {
		return d.isDown(err), nil
	}
	d.down.try()
	asked := time.Now()
	token, err := d.table.acquire(ctx, d.holder)
	if err != nil {
		return 0, err
	}
	if token == 0 {
		return d.sweep.another(), nil
	}
	d.token, d.until, d.renewed = token, asked.Add(lease), asked
	d.sweep.begin()
	d.sweep.idle = time.Time{}
	d.note(func(s *Stats) { s.Leading = true })
	return 0, nil
}

// probe asks the connection whether it takes rows.
func (d *Dispatcher) probe(ctx context.Context) error {
	answer := make(chan error, 1)
	d.o.Sender.Probe(func(err error) { answer <- err })
	select {
	case err := <-answer:
		return err
	case <-d.stop:
		return errStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isDown notes that the connection takes nothing, and returns when to ask again.
func (d *Dispatcher) isDown(err error) time.Duration {
	d.note(func(s *Stats) { s.Down = err })
	return d.down.again(d.log, err)
}

// hold renews the lease in time. It returns false if the lease is lost.
func (d *Dispatcher) hold(ctx context.Context) (ours bool, err error) {
	now := time.Now()
	if now.Sub(d.renewed) < lease/3 {
		return true, nil
	}
	if ours, err = d.table.renew(ctx, d.token); err != nil {
		return false, err
	}
	if !ours {
		d.log.Warn().Msg("another process sends the outbox now: this one was too slow to renew its lease")
		d.lose()
		return false, nil
	}
	d.until, d.renewed = now.Add(lease), now
	return true, nil
}

// lose forgets the lease.
func (d *Dispatcher) lose() {
	d.token = 0
	d.note(func(s *Stats) { s.Leading = false })
}

// yield gives the lease back, so that another process need not wait for its end.
func (d *Dispatcher) yield(ctx context.Context) {
	if d.token == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := d.table.release(ctx, d.token); err != nil {
		d.log.Debug().Err(err).Msg("the lease of the outbox was not given back: it ends by itself")
	}
	d.lose()
}
