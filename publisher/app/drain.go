package app

import (
	"fmt"
	"time"

	"zamqp/publisher"
)

// cutGrace is the time for calls to end after their waits were ended, and for connections
// to close cleanly.
const cutGrace = time.Second

// drain stops the server in this order: it reports that the server is not ready, cancels the
// consumers, and serves on for server.drain_delay, so that a balancer notices. Then it accepts no
// more, finishes the calls and their answers and what the outbox has sent, runs the handlers'
// OnStop functions, flushes publishes, confirms and acks, and closes. Everything after the delay
// must end within server.drain_timeout.
func (a *application) drain(why string) {
	if a.draining {
		return
	}
	a.draining = true
	timeout, delay := a.plan.Settings.Server.DrainTimeout, a.plan.Settings.Server.DrainDelay
	a.log.Info().Str("reason", why).Dur("delay", delay).Dur("timeout", timeout).Int("calls", a.server.Live()).Msg("draining")
	a.server.BeginDrain()
	a.http.Retire()
	a.stopBy = time.Now().Add(delay + timeout)
	cut := a.loop.After(delay+timeout, a.cut)
	left := 2
	one := func() {
		if left--; left == 0 { // calls whose clients have gone may still run
			a.server.Drain(func() {
				a.endHijacked(func() {
					a.stopOutboxes(func() { a.runOnStop(func() { a.close(cut.Stop) }) })
				})
			})
		}
	}
	a.amqp.Stop(func() { a.server.Drain(one) })
	shut := func() {
		for _, ln := range a.listeners {
			ln.Close()
		}
		if a.secure != nil {
			a.secure.close()
		}
		a.shut = a.loop.Now()
		a.http.Drain(one)
	}
	if delay == 0 {
		shut()
		return
	}
	a.loop.After(delay, shut)
}

// hijackedGrace is how long handlers may take to end connections that they have taken over,
// once all their contexts have ended and no other work is left. Many handlers would never end
// them: net/http's Shutdown does not even tell them.
const hijackedGrace = 5 * time.Second

// endHijacked waits until handlers have closed the connections that they have taken over,
// and closes what is left.
func (a *application) endHijacked(done func()) {
	grace := min(hijackedGrace, a.plan.Settings.Server.DrainTimeout/2)
	limit := a.loop.After(max(0, grace-a.loop.Now().Sub(a.shut)), func() {
		a.log.Warn().Int("connections", a.server.Hijacked()).Msg("handlers have not closed the connections that they have taken over: closing them")
		a.server.CloseHijacked()
	})
	a.server.AwaitHijacked(func() {
		limit.Stop()
		done()
	})
}

// close ends the brokers' connections cleanly, then the embedded broker,
// then the loop.
func (a *application) close(settled func() bool) {
	a.server.RefusePublishes()
	a.amqp.Close(func(err error) {
		settled()
		if err != nil {
			a.log.Warn().Err(err).Msg("a connection was not closed cleanly")
		}
		a.stopEmbedded(func() {
			a.log.Info().Msg("stopped")
			a.loop.Stop()
		})
	})
}

// cut ends the calls that have not ended in time. The broker redelivers their messages; a
// publish that is not confirmed fails its call.
func (a *application) cut() {
	if live := a.server.Live(); live > 0 {
		a.fail(fmt.Errorf("%w: %d calls were left", errCut, live))
	}
	a.log.Warn().Int("calls", a.server.Live()).Int("connections", a.http.Open()).Msg("the drain is cut short")
	a.stopBy = time.Now().Add(cutGrace)
	a.server.CancelAll(publisher.ErrShutdown)
	a.server.CloseHijacked()
	a.cutStops(errCut)
	a.loop.After(cutGrace, a.loop.Stop)
}
