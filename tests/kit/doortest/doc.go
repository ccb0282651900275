// Package doortest joins a whole server to a whole broker in memory: the publisher
// with its handlers, the AMQP door, the client machine and the spool on one side,
// the broker machine on the other. There are no sockets, no goroutines and no
// sleeps; time is a wiretest.Clock, and the spool's disk a crashfs.FS.
//
//	w := doortest.New(t, seed, broker.Options{})
//	p := w.Start(doortest.Setup{Registry: handlers(), Spool: crashfs.New()})
//	call := p.Call("POST /orders", "body")
//	w.Advance(time.Second)
//	if call.Status != 202 { … }
//
// A World outlives its processes: p.Kill ends one as kill -9 does, and another
// may be started with what its disk holds. What goes over the wire of a process
// is counted in operations (one Feed or one write of either side), and the wire
// can be cut after any of them: EveryCut runs a story once for each.
package doortest
