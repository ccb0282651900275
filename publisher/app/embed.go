package app

import (
	"zamqp/loop"
)

// embed starts the broker of this process if a connection uses it. It runs before the
// HTTP listeners open, so that the first request can publish.
func (a *application) embed() error {
	name, yes := a.plan.Embeds()
	if !yes {
		return nil
	}
	e, err := newEmbedded(a.loop, &a.plan.Settings.Broker, a.log)
	if err != nil {
		return err
	}
	a.embedded = e
	a.server.AddReporter(e)
	a.server.AddMeter(e)
	return e.listen(name)
}

// join connects a client of this process to the broker, without a socket.
func (e *embedded) join(client func(*loop.Conn) loop.Peer) {
	e.loop.Pipe(client, func(c *loop.Conn) loop.Peer { return e.connectOwn(c) })
}

// stopEmbedded stops the broker, when nothing in this process needs it any more.
func (a *application) stopEmbedded(done func()) {
	if a.embedded == nil {
		done()
		return
	}
	a.embedded.stop(done)
}
