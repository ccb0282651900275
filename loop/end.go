package loop

import "time"

// end is the last step of Run: it loses all connections, closes and ends everything, and runs what
// this causes.
func (l *Loop) end() {
	l.stop.Store(true)
	l.tick()
	l.closeDoors()
	l.loseAll()
	for i := 0; i < endRounds && (l.mail.waiting() || l.tasks || i == 0); i++ {
		l.mail.run()
		if l.opt.Tasks != nil {
			l.runTasks()
		}
	}
	for _, fn := range l.ends {
		l.guarded("end", fn)
	}
	l.offload.close()
	l.kinds.threads.close()
	l.disk.close()
	l.mail.close()
	l.closeDoors() // connections that were opened in the meantime
	l.loseAll()
	l.watch.stop()
	l.awaitPumps()
	l.poll.close()
	if l.reserve >= 0 {
		closeFD(l.reserve)
	}
	l.settle()
	l.debug.disown()
	l.show(true)
}

// endRounds bounds the rounds of tasks and posted functions at the end, because tasks that wake
// each other could go on for ever. A round does as much as a turn, so this is enough for a million
// calls.
const endRounds = 10_000

// closeDoors ends what makes connections.
func (l *Loop) closeDoors() {
	for _, ln := range l.listeners {
		ln.shut()
	}
	l.listeners = nil
	for d := range l.dials {
		d.fail(ErrStopped)
	}
}

// settle clears state that nobody will look at again, for the last Stats.
func (l *Loop) settle() {
	l.heap.e = nil
	l.dirty, l.late, l.doomed = nil, nil, nil
}

// loseAll closes every connection now, without a flush.
func (l *Loop) loseAll() {
	for _, s := range l.slots {
		if c, ok := s.p.(*Conn); ok {
			c.loseNow()
		}
	}
	for s := range l.streams {
		s.conn.loseNow()
	}
	for h := range l.pipeEnds {
		h.conn.loseNow()
	}
	l.closeDoomed()
}

// loseNow dooms the connection, whatever its stage is.
func (c *Conn) loseNow() {
	if c.stage == stageDoomed { // not yet reached by phase 7
		c.flags &^= fLinger
		return
	}
	c.doom(ErrStopped, false)
}

// awaitPumps waits for the loop's goroutines, which have been told to end. It does not wait long
// for one that is blocked in a call (a blocking function, a stream that cannot be interrupted).
func (l *Loop) awaitPumps() {
	ended := make(chan struct{})
	go func() {
		l.pumps.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(time.Second):
	}
}
