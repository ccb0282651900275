package loop

// smallWrite is the longest output that is always written in the turn in which it was made:
// nearly every answer and every frame. Longer outputs wait in a list.
const smallWrite = 16 << 10

// shares divides the writing of long outputs in a turn: up to WriteConnMax octets for each
// connection, in the order of arrival, and up to WriteTurnMax for all. So a thousand slow readers
// of large answers use no more of a turn than a few fast ones, and other connections do not wait
// for them.
type shares struct {
	line []*Conn // connections with fLine; some may be closed
	at   int     // the first one that still waits
	left int     // octets that may still be written in this turn
	todo int     // how many of line are still to be served in this turn
}

func (s *shares) waiting() int { return len(s.line) - s.at }

// stand adds a connection to the end of the list.
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

// serveLine writes for the connections in the list until the turn's share is used up.
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
		l.setCurrent(c)
		c.flush(true)
	}
	l.setCurrent(nil)
}

// portion returns how much of n octets of output may be written now. It is 0 if the connection must
// wait for its turn; first says that it is its turn now.
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
