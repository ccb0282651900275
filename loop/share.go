package loop

// smallWrite is the longest output that is written in the turn in which it came,
// whatever else there is to write: nearly every answer and every frame. More than
// that stands in line.
const smallWrite = 16 << 10

// shares hands out what is written of long outputs in a turn: up to WriteConnMax
// octets to each connection in its turn, the first come first, and up to
// WriteTurnMax to all. So a thousand slow readers of large answers take no more of a
// turn than a few fast ones, and nobody waits for them.
type shares struct {
	line []*Conn // with fLine; some may be closed
	at   int     // the first that still stands in it
	left int     // octets of this turn
	todo int     // of the line, in this turn
}

func (s *shares) waiting() int { return len(s.line) - s.at }

// stand puts a connection at the end of the line.
func (c *Conn) stand() {
	if c.flags&fLine != 0 {
		return
	}
	c.flags |= fLine
	s := &c.loop.shares
	switch {
	case s.at == len(s.line):
		s.line, s.at = s.line[:0], 0
	case s.at > 1024 && s.at > len(s.line)/2:
		n := copy(s.line, s.line[s.at:])
		clear(s.line[n:])
		s.line, s.at = s.line[:n], 0
	}
	s.line = append(s.line, c)
}

// serveLine writes for those who stand in line, until the turn's share is used up.
func (l *Loop) serveLine() {
	for l.shares.todo = l.shares.waiting(); l.shares.todo > 0 && l.shares.left > 0; {
		l.serveSome()
	}
}

func (l *Loop) serveSome() {
	defer l.rescue()
	s := &l.shares
	for s.todo > 0 && s.left > 0 {
		c := s.line[s.at]
		s.line[s.at] = nil
		s.at++
		s.todo--
		c.flags &^= fLine
		if c.stage > stageClosing {
			continue
		}
		l.blame(c)
		c.flush(true)
	}
	l.blame(nil)
}

// portion is how much of n octets of output may be written now; 0 when the
// connection has to wait for its turn, which first says that it has come.
func (c *Conn) portion(n int, first bool) int {
	s := &c.loop.shares
	if n <= smallWrite {
		return n
	}
	if c.flags&fLine != 0 || s.left <= 0 || !first && s.waiting() > 0 {
		return 0
	}
	return min(n, c.loop.opt.WriteConnMax)
}
