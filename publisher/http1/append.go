package http1

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

const (
	dateLen        = len("Mon, 02 Jan 2006 15:04:05 GMT")
	headRoom       = 256 // most octets that the machine's own lines take, with a short ServerName
	continueAnswer = "HTTP/1.1 100 Continue\r\n\r\n"
)

// Pending returns the octets to send. The machine owns them. They are valid until the
// next call of any method.
func (c *Conn) Pending() []byte {
	if c.dates != 0 {
		c.stamp()
	}
	return c.out[c.sent:]
}

// Sent says that the first n octets of Pending are sent. When all are sent, the buffer
// goes back to the Server.
func (c *Conn) Sent(n int) {
	c.sent = min(c.sent+n, len(c.out))
	if n > 0 && c.writeDue != 0 {
		c.took(n)
	}
	if c.sent == len(c.out) && c.out != nil {
		c.free()
		c.writeDue = 0
	}
	if c.flags&flagHeld != 0 && c.OutLen() <= c.srv.cfg.OutMax/2 {
		c.flags = c.flags&^flagHeld | flagFresh
		c.wire.Wake()
	}
}

// OutLen returns how many octets are unsent.
func (c *Conn) OutLen() int { return len(c.out) - c.sent }

// room makes sure that n octets can be appended to out without growing it.
func (c *Conn) room(n int) {
	if cap(c.out)-len(c.out) >= n {
		return
	}
	if c.out == nil {
		c.out = c.srv.buffer(n)
		return
	}
	// Offsets in out change here, so the chain of dates must be resolved before.
	c.stamp()
	unsent := c.out[c.sent:]
	if c.flags&flagLent == 0 && c.sent >= len(unsent) && cap(c.out)-len(unsent) >= n {
		c.out = append(c.out[:0], unsent...)
	} else {
		b := c.srv.buffer(max(len(unsent)+n, 2*cap(c.out)))
		b = append(b, unsent...)
		c.free()
		c.out = b
	}
	c.sent = 0
}

// appendStatus appends the status line, Server and Date. The time is known only after
// the turn's input has been read. So Date stays blank until stamp fills it in, just
// before it is sent. The blanks are a chain: each holds the offset+1 of the one before
// it.
//
// A Server or Date among the answer's own fields replaces the machine's.
func (c *Conn) appendStatus(status int, own ownSet) {
	line := c.srv.lines[status]
	if line == nil {
		line = c.srv.makeLine(status)
	}
	if own&ownServer != 0 {
		i := bytes.IndexByte(line, '\n') + 1
		c.out = append(append(c.out, line[:i]...), "Date: "...)
	} else {
		c.out = append(c.out, line...)
	}
	if own&ownDate != 0 {
		c.out = c.out[:len(c.out)-len("Date: ")]
		return
	}
	at := len(c.out)
	c.out = append(c.out, c.srv.date[:]...)
	binary.LittleEndian.PutUint64(c.out[at:], uint64(c.dates))
	c.dates = at + 1
	c.out = append(c.out, "\r\n"...)
}

// makeLine renders the beginning that all answers with the same status have in common.
func (s *Server) makeLine(status int) []byte {
	line := append([]byte("HTTP/1.1 "), strconv.Itoa(status)...)
	line = append(append(line, ' '), StatusText(status)...)
	line = append(line, "\r\n"...)
	if s.cfg.ServerName != "" {
		line = append(append(append(line, "Server: "...), s.cfg.ServerName...), "\r\n"...)
	}
	s.lines[status] = append(line, "Date: "...)
	return s.lines[status]
}

// ownSet says which of the machine's fields the answer sets itself.
type ownSet uint8

const (
	ownServer ownSet = 1 << iota
	ownDate
	ownConnection
	ownClose // Connection with the option close
	ownTransport
)

// ownFields looks for those fields among complete field lines.
func ownFields(lines []byte) (own ownSet) {
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		switch line := lines[:end]; lines[0] | 0x20 {
		case 's':
			if isField(line, "server:") {
				own |= ownServer
			} else if isField(line, "strict-transport-security:") {
				own |= ownTransport
			}
		case 'd':
			if isField(line, "date:") {
				own |= ownDate
			}
		case 'c':
			if isField(line, "connection:") {
				own |= ownConnection
				if _, closing := connectionOptions(line[len("connection:") : end-len("\r\n")]); closing {
					own |= ownClose
				}
			}
		}
		lines = lines[end:]
	}
	return own
}

func isField(line []byte, name string) bool {
	return len(line) > len(name) && equalFold(line[:len(name)], name)
}

// stamp fills in the dates that were left blank.
func (c *Conn) stamp() {
	for at := c.dates; at != 0; {
		b := c.out[at-1 : at-1+dateLen]
		at = int(binary.LittleEndian.Uint64(b))
		copy(b, c.srv.date[:])
	}
	c.dates = 0
}

// appendLength appends the Content-Length line.
func (c *Conn) appendLength(n int64) {
	c.out = append(c.out, "Content-Length: "...)
	c.out = strconv.AppendInt(c.out, n, 10)
	c.out = append(c.out, "\r\n"...)
}

// appendTransport appends Strict-Transport-Security to an answer on a connection with
// TLS.
func (c *Conn) appendTransport(own ownSet) {
	if c.flags&flagSecure != 0 && own&ownTransport == 0 {
		c.out = append(c.out, c.srv.transport...)
	}
}

// appendConnection says whether the connection stays open, if that differs from the default:
// HTTP/1.1 stays open by default, 1.0 does not. RFC 9112 §9.3.
func (c *Conn) appendConnection(own ownSet) {
	switch {
	case c.flags&flagClosing != 0:
		if own&ownClose == 0 {
			c.out = append(c.out, "Connection: close\r\n"...)
		}
	case c.flags&flagOld != 0 && own&ownConnection == 0:
		c.out = append(c.out, "Connection: keep-alive\r\n"...)
	}
}

// appendChunk appends p as one chunk.
func (c *Conn) appendChunk(p []byte) {
	c.out = strconv.AppendInt(c.out, int64(len(p)), 16)
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, p...)
	c.out = append(c.out, "\r\n"...)
}

// appendError appends the machine's own answer to a request that it refuses.
func (c *Conn) appendError(e *Error, fields []Field) {
	text := StatusText(e.Status)
	if r, ok := c.handler.(Refuser); ok {
		if contentType, body := r.Refusal(e, fields); body != nil {
			c.room(headRoom + len(contentType) + len(body))
			c.appendStatus(e.Status, 0)
			c.out = append(append(append(c.out, "Content-Type: "...), contentType...), "\r\n"...)
			c.appendLength(int64(len(body)))
			c.appendTransport(0)
			c.appendConnection(0)
			c.out = append(c.out, "\r\n"...)
			if c.flags&flagHead == 0 {
				c.out = append(c.out, body...)
			}
			return
		}
	}
	n := len(text) + len(": ") + len(e.Reason) + len("\n")
	c.room(headRoom + n)
	c.appendStatus(e.Status, 0)
	c.out = append(c.out, "Content-Type: text/plain; charset=utf-8\r\n"...)
	c.appendLength(int64(n))
	c.appendTransport(0)
	c.appendConnection(0)
	c.out = append(c.out, "\r\n"...)
	if c.flags&flagHead == 0 {
		c.out = append(append(append(append(c.out, text...), ": "...), e.Reason...), '\n')
	}
}
