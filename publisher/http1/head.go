package http1

// Field is one field line of a head, in wire order. Both are views.
type Field struct {
	Name  []byte // as sent; compare with EqualFold or Head.Get
	Value []byte // without the white space around it; may hold obs-text (0x80–0xFF)
}

// Head is a valid request head. It and everything in it belongs to the Server, and is
// valid until Handler.Head returns.
type Head struct {
	Method []byte
	Target []byte     // the request-target as sent
	Form   TargetForm // which of the forms of RFC 9112 §3.2 Target has
	Path   []byte     // the path in Target, still encoded; "*" for OPTIONS on the server itself
	Query  []byte     // what follows the first question mark; nil if there is none
	Host   []byte     // host[:port] of an absolute-form target, or else of the Host field; may be empty

	Major, Minor  uint8 // as sent: HTTP/1.7 is answered like HTTP/1.1
	Fields        []Field
	ContentLength int64 // -1 if none was sent
	Chunked       bool  // the body comes in chunks
	KeepAlive     bool  // the other side wants to keep the connection open
	Expect100     bool  // 100-continue is expected, and will be sent when Head returns 0, or by Continue after Stream
}

// Get returns the value of the first field of that name, which must be given
// in lower case; nil if there is none.
func (h *Head) Get(name string) []byte {
	for i := range h.Fields {
		if equalFold(h.Fields[i].Name, name) {
			return h.Fields[i].Value
		}
	}
	return nil
}

// HasBody reports whether body octets follow.
func (h *Head) HasBody() bool { return h.Chunked || h.ContentLength > 0 }

// progress is how far an incomplete head (or trailer section) at the front of the input has
// been checked. Without it, a head that arrives octet by octet would be scanned from its
// start each time.
type progress struct {
	line   int32 // offset of the first line that is not complete
	ok     int32 // octets before this offset are checked, in the line's current target or value
	fields int32 // field lines before line
}

// tlsHandshake is the first octet of a TLS connection: the type of its record. No method begins
// with it. RFC 8446 §5.1.
const tlsHandshake = 0x16

// parseHead reads a head at the front of in into s.head, as views, and returns its length. If
// in does not have all of it, parseHead returns 0 and no error, and p says where to continue.
// Then in must be given again with more octets after it.
//
// Octets are checked strictly in order, each as soon as it has come. So the same input has
// the same result however it is cut into pieces.
func (s *Server) parseHead(in []byte, p *progress) (int, *Error) {
	b := in[:min(len(in), s.cfg.HeadMax)]
	h := &s.head
	i, ok := int(p.line), int(p.ok)
	fields := h.Fields[:p.fields] // their content is stale after a resume; only the number counts
	if i == 0 {
		n, checked, err := s.requestLine(b, ok)
		if n == 0 {
			return s.incomplete(b, progress{ok: int32(checked)}, p, err)
		}
		i, ok = n, 0
	}
	for {
		if i == len(b) {
			return s.incomplete(b, progress{line: int32(i), fields: int32(len(fields))}, p, nil)
		}
		if b[i] == '\r' {
			break
		}
		if len(fields) == s.cfg.FieldsMax {
			return 0, errFields
		}
		fields = fields[:len(fields)+1]
		n, checked, err := fieldLine(b, i, ok, &fields[len(fields)-1])
		if n == 0 {
			return s.incomplete(b, progress{int32(i), int32(checked), int32(len(fields) - 1)}, p, err)
		}
		i, ok = n, 0
	}
	if i+1 == len(b) {
		return s.incomplete(b, progress{line: int32(i), fields: int32(len(fields))}, p, nil)
	}
	if b[i+1] != '\n' {
		return 0, errHeadEnd
	}
	if p.line > 0 {
		// The earlier lines were only checked, because the scratch space is shared and views
		// end with a Feed. Now all lines are read.
		*p = progress{}
		return s.parseHead(in, p)
	}
	*p = progress{}
	h.Fields = fields
	return i + 2, s.framing(h)
}

// incomplete ends a parse that ran out of octets, or returns err.
func (s *Server) incomplete(b []byte, now progress, p *progress, err *Error) (int, *Error) {
	if err == nil && len(b) == s.cfg.HeadMax {
		err = errHeadLong
	}
	*p = now
	return 0, err
}

// requestLine reads the request line at the front of b into s.head and returns the offset
// after it. If n is 0, b ends too early, or there is an error; the target was found good up
// to the offset checked. RFC 9112 §3.
func (s *Server) requestLine(b []byte, ok int) (n, checked int, err *Error) {
	h := &s.head
	i := 0
	for i < len(b) && class[b[i]]&isToken != 0 {
		i++
	}
	if i > methodMax {
		return 0, 0, errMethodLong
	}
	if i == len(b) {
		return 0, 0, nil
	}
	if b[i] != ' ' || i == 0 {
		if b[0] == tlsHandshake {
			return 0, 0, errMethodTLS
		}
		return 0, 0, errMethod
	}
	h.Method = b[:i]
	start := i + 1
	i = max(start, ok)
	end := min(len(b), start+s.cfg.TargetMax+1)
	for i < end && class[b[i]]&isTarget != 0 {
		i++
	}
	if i == end {
		if end == start+s.cfg.TargetMax+1 {
			return 0, 0, errTargetLong
		}
		return 0, i, nil
	}
	if b[i] != ' ' || i == start {
		return 0, 0, errTargetOctet
	}
	h.Target = b[start:i]
	checked = i
	i++
	if len(b)-i < 10 || string(b[i:i+10]) != "HTTP/1.1\r\n" {
		if err := h.version(b[i:]); err != nil || len(b)-i < 10 {
			return 0, checked, err
		}
	} else {
		h.Major, h.Minor = 1, 1
	}
	if err := h.splitTarget(); err != nil {
		return 0, 0, err
	}
	return i + 10, 0, nil
}

// version reads "HTTP/" DIGIT "." DIGIT CRLF, or as much of it as b has. RFC 9112 §2.3.
func (h *Head) version(b []byte) *Error {
	const pattern = "HTTP/0.0\r\n"
	for i := range min(len(b), len(pattern)) {
		if pattern[i] != '0' && b[i] != pattern[i] || pattern[i] == '0' && class[b[i]]&isDigit == 0 {
			return errVersion
		}
	}
	if len(b) < len(pattern) {
		return nil
	}
	h.Major, h.Minor = b[5]-'0', b[7]-'0'
	if h.Major != 1 {
		return errVersionMajor
	}
	return nil
}

// fieldLine reads the field line of b that begins at i into f and returns the offset after
// it. If n is 0, b ends too early, or there is an error; the value was found good up to the
// offset checked. RFC 9112 §5.
func fieldLine(b []byte, i, ok int, f *Field) (n, checked int, err *Error) {
	start := i
	for i < len(b) && class[b[i]]&isToken != 0 {
		i++
	}
	if i-start > nameMax {
		return 0, 0, errNameLong
	}
	if i == len(b) {
		return 0, 0, nil
	}
	if b[i] != ':' || i == start {
		if i == start && (b[i] == ' ' || b[i] == '\t') {
			return 0, 0, errFold
		}
		return 0, 0, errName
	}
	f.Name = b[start:i]
	value := i + 1
	i = valueEnd(b, max(value, ok))
	if i == len(b) {
		return 0, i, nil
	}
	if b[i] != '\r' {
		return 0, 0, errValue
	}
	if i+1 == len(b) {
		return 0, i, nil
	}
	if b[i+1] != '\n' {
		return 0, 0, errValue
	}
	f.Value = trimOWS(b[value:i])
	return i + 2, 0, nil
}
