package http1

import "bytes"

// feedBody passes on the next octets of a body with Content-Length.
func (c *Conn) feedBody(in []byte) int {
	p := in[:min(int64(len(in)), c.left)]
	if c.flags&flagStream != 0 {
		if p = c.accepted(p); len(p) == 0 {
			return 0
		}
	}
	c.left -= int64(len(p))
	c.credit += int32(len(p))
	if c.left > 0 {
		c.body(p)
		return len(p)
	}
	// The state changes first, so that the request counts as read if the Handler answers
	// inside Body.
	c.in = awaitAnswer
	c.body(p)
	if c.in == awaitAnswer {
		c.end()
	}
	return len(p)
}

// dropMax is how much of a body is dropped to keep its connection open.
const dropMax = 256 << 10

// DropBody keeps the connection open after an answer that is given inside Handler.Head,
// before the body has come. The body is dropped when it comes. There are two exceptions: the
// body is long, or the client waits for 100 Continue and may never send the body. Then the
// connection ends after this answer.
func (c *Conn) DropBody() {
	h := &c.srv.head
	if c.flags&flagOpen != 0 && !h.Expect100 && h.ContentLength <= dropMax {
		c.flags |= flagDrop
	}
}

// Hold says that the body is not read for a while, because there is no room for it.
// BodyRateMin does not apply in that time. After BodyStallMax the request is refused with
// 503.
func (c *Conn) Hold() { c.flags |= flagWaiting | flagFresh }

// Go ends Hold.
func (c *Conn) Go() {
	c.flags = c.flags&^flagWaiting | flagFresh
	c.wake()
}

// body gives a piece to the Handler, unless it has answered already.
func (c *Conn) body(p []byte) {
	if c.flags&flagOpen != 0 {
		c.handler.Body(p)
	}
}

// feedChunkSize reads a chunk-size line. chunkLineMax keeps the line short, so an
// incomplete one may be read again from its start when more comes. RFC 9112 §7.1.
func (c *Conn) feedChunkSize(in []byte) (int, *Error) {
	n, err := lineEnd(in)
	if n == 0 || err != nil {
		return 0, err
	}
	size, err := chunkSize(in[:n-2])
	if err != nil {
		return 0, err
	}
	if size == 0 {
		c.in, c.left, c.at = awaitTrailer, 0, progress{}
		return n, nil
	}
	if c.got += size; c.got > c.bodyMax() || c.flags&flagDrop != 0 && c.got > dropMax {
		return 0, errBodyLong
	}
	// Many small chunks with long extensions cost work and carry no data. So we
	// allow 16 octets of framing for each chunk, and two for each octet of data.
	excess := max(0, int64(c.excess)+int64(n)+2-16-2*size)
	if excess > chunkExcess {
		return 0, errChunkExcess
	}
	c.excess = int16(excess)
	c.in, c.left = awaitChunkData, size
	return n, nil
}

// bodyMax is the bound of the body of the current request.
func (c *Conn) bodyMax() int64 {
	if c.srv.cfg.OwnMax == 0 || c.flags&flagOpen == 0 {
		return c.srv.cfg.BodyMax
	}
	return c.handler.BodyMax()
}

// lineEnd returns the length of the line at the front of in with its CRLF; 0
// if in does not hold all of it. A bare CR or LF is an error, and so is a line
// over chunkLineMax.
func lineEnd(in []byte) (int, *Error) {
	b := in[:min(len(in), chunkLineMax)]
	i := bytes.IndexByte(b, '\n')
	cr := bytes.IndexByte(b, '\r')
	switch {
	case i < 0 && len(b) == chunkLineMax, i == 0, i > 0 && cr != i-1:
		return 0, errChunkLine
	case i < 0 && cr >= 0 && cr+1 < len(b):
		return 0, errChunkLine
	}
	return i + 1, nil
}

// chunkSize reads a chunk-size line without its CRLF. White space is accepted where the
// grammar has it (BWS), which is around the semicolon and the equals sign of an extension,
// and refused everywhere else.
func chunkSize(line []byte) (size int64, err *Error) {
	i := 0
	for i < len(line) && class[line[i]]&isHex != 0 {
		if i == chunkDigits {
			return 0, errChunkSize
		}
		c := lower[line[i]]
		if c >= 'a' {
			c -= 'a' - '0' - 10
		}
		size = size<<4 | int64(c-'0')
		i++
	}
	if i == 0 || i < len(line) && (skipBWS(line, i) == len(line) || line[skipBWS(line, i)] != ';') {
		return 0, errChunkSize
	}
	for i < len(line) {
		if i = chunkExt(line, i); i < 0 {
			return 0, errChunkExt
		}
	}
	return size, nil
}

// chunkExt reads the extension of line that begins at i and returns the offset after it, or
// -1 if it is malformed: BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ].
// Extensions have no meaning here, but a malformed one may have a meaning elsewhere.
func chunkExt(line []byte, i int) int {
	if i = skipBWS(line, i); i == len(line) || line[i] != ';' {
		return -1
	}
	if i = tokenEnd(line, skipBWS(line, i+1)); i < 0 {
		return -1
	}
	equals := skipBWS(line, i)
	if equals == len(line) || line[equals] != '=' {
		return i
	}
	if i = skipBWS(line, equals+1); i == len(line) || line[i] != '"' {
		return tokenEnd(line, i)
	}
	for i++; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			i++
			if i == len(line) || !isText(line[i]) {
				return -1
			}
		case !isText(c):
			return -1
		}
	}
	return -1
}

// skipBWS returns the offset of the first octet of b, from i on, that is not white space. RFC
// 9110 §5.6.3.
func skipBWS(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// isText reports whether c may be in a quoted string. RFC 9110 §5.6.4.
func isText(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' }

// tokenEnd returns the offset after the token of b that begins at i, or -1 if there is none.
func tokenEnd(b []byte, i int) int {
	start := i
	for i < len(b) && class[b[i]]&isToken != 0 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// feedChunkData passes on the next octets of a chunk.
func (c *Conn) feedChunkData(in []byte) int {
	p := in[:min(int64(len(in)), c.left)]
	if c.flags&flagStream != 0 {
		if p = c.accepted(p); len(p) == 0 {
			return 0
		}
	}
	c.left -= int64(len(p))
	c.credit += int32(len(p))
	if c.left == 0 {
		c.in = awaitChunkEnd
	}
	c.body(p)
	return len(p)
}

// feedChunkEnd reads the CRLF after a chunk's data.
func (c *Conn) feedChunkEnd(in []byte) (int, *Error) {
	if in[0] != '\r' || len(in) > 1 && in[1] != '\n' {
		return 0, errChunkEnd
	}
	if len(in) < 2 {
		return 0, nil
	}
	c.in = awaitChunkSize
	return 2, nil
}

// feedTrailer reads a trailer line, or the empty line that ends the request. Trailers are
// checked as strictly as the fields of a head, and the Handler gets them apart from those:
// RFC 9110 §6.5.1 allows nobody to merge them into the head without knowing their
// definition. Here left counts their octets.
func (c *Conn) feedTrailer(in []byte) (int, *Error) {
	if in[0] == '\r' {
		if len(in) == 1 {
			return 0, nil
		}
		if in[1] != '\n' {
			return 0, errHeadEnd
		}
		c.at = progress{}
		c.end()
		return 2, nil
	}
	s := c.srv
	if int(c.at.fields) == s.cfg.FieldsMax {
		return 0, errFields
	}
	room := s.cfg.HeadMax - int(c.left)
	b := in[:min(len(in), room)]
	var f Field
	n, ok, err := fieldLine(b, 0, int(c.at.ok), &f)
	switch {
	case err != nil:
		return 0, err
	case n == 0 && len(b) == room:
		return 0, errTrailerLong
	case n == 0:
		c.at.ok = int32(ok)
		return 0, nil
	}
	c.left += int64(n)
	c.at.ok = 0
	c.at.fields++
	if c.flags&flagOpen != 0 {
		c.handler.Trailer(&f)
	}
	return n, nil
}
