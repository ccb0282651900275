package http1

// framing reads the fields that decide where the request ends and whether the connection
// stays open, and checks that they can be understood in only one way. RFC 9112 §3.2, §6.3,
// §9.3; RFC 9110 §10.1.1.
func (s *Server) framing(h *Head) *Error {
	h.ContentLength, h.Chunked, h.Expect100 = -1, false, false
	h.KeepAlive = h.Minor > 0
	var hosts int
	var host []byte
	var coded, chunked, unknown, kept, closed bool
	for i := range h.Fields {
		f := &h.Fields[i]
		// The length selects the few names that matter; all others cost only this comparison.
		switch len(f.Name) {
		case len("host"):
			if equalFold(f.Name, "host") {
				hosts++
				host = f.Value
			}
		case len("expect"):
			if equalFold(f.Name, "expect") {
				expected, ok := expectations(f.Value)
				if !ok {
					return errExpect
				}
				h.Expect100 = h.Expect100 || expected && h.Minor > 0 // to be ignored in HTTP/1.0
			}
		case len("connection"):
			if equalFold(f.Name, "connection") {
				k, c := connectionOptions(f.Value)
				kept, closed = kept || k, closed || c
			}
		case len("content-length"):
			if equalFold(f.Name, "content-length") {
				if err := h.setLength(f.Value); err != nil {
					return err
				}
			}
		case len("transfer-encoding"):
			if equalFold(f.Name, "transfer-encoding") {
				coded = true
				// Several lines are one list, RFC 9110 §5.3.
				if err := codings(f.Value, &chunked, &unknown); err != nil {
					return err
				}
			}
		}
	}
	h.KeepAlive = (h.KeepAlive || kept) && !closed
	if err := h.setHost(hosts, host); err != nil {
		return err
	}
	if err := h.setCoding(coded, chunked, unknown); err != nil {
		return err
	}
	if h.ContentLength > max(s.cfg.BodyMax, s.cfg.OwnMax) {
		return errBodyLong
	}
	if h.Form == AuthorityForm {
		return errConnect
	}
	return nil
}

// expectations reads one Expect field, a list that may be empty. ok reports that nothing but
// 100-continue is expected. RFC 9110 §10.1.1.
func expectations(v []byte) (continues, ok bool) {
	for more := true; more; {
		var e []byte
		e, v, more = cutElement(v)
		switch {
		case equalFold(e, "100-continue"):
			continues = true
		case len(e) > 0:
			return false, false
		}
	}
	return continues, true
}

// setLength reads a Content-Length. A second one is refused even if it is
// equal: nobody sends it in good faith, and RFC 9112 §6.3 allows the refusal.
func (h *Head) setLength(v []byte) *Error {
	if h.ContentLength >= 0 {
		return errLengthDuplicate
	}
	if len(v) == 0 || len(v) > lengthDigits {
		return errLengthInvalid
	}
	var n int64
	for _, c := range v {
		if class[c]&isDigit == 0 {
			return errLengthInvalid
		}
		n = n*10 + int64(c-'0')
	}
	h.ContentLength = n
	return nil
}

// codings reads one line of Transfer-Encoding. chunked reports whether the last coding so far
// is chunked, unknown whether any other was named.
func codings(v []byte, chunked, unknown *bool) *Error {
	for more := true; more; {
		var e []byte
		e, v, more = cutElement(v)
		if *chunked || len(e) == 0 {
			return errCodingFinal // another coding, or chunked again, after chunked; or an empty element
		}
		if equalFold(e, "chunked") {
			*chunked = true
		} else {
			*unknown = true
		}
	}
	return nil
}

// setCoding checks Transfer-Encoding as a whole. A coding that does not end in
// chunked leaves the end of the body unknown: 400, whatever else was named. An
// unknown one below a final chunked could be skipped, but not be decoded: 501.
func (h *Head) setCoding(coded, chunked, unknown bool) *Error {
	switch {
	case !coded:
		return nil
	case h.ContentLength >= 0:
		return errLengthCoding
	case h.Minor == 0:
		return errCodingVersion
	case !chunked:
		return errCodingFinal
	case unknown:
		return errCodingUnknown
	}
	h.Chunked = true
	return nil
}

// setHost checks the Host field. With a target in absolute-form, the target's host is used,
// but the field must still be there and be valid, RFC 9112 §3.2.2. An empty Host is valid: it
// says that the client knows no name for this server (§3.2, §3.3).
func (h *Head) setHost(n int, host []byte) *Error {
	switch {
	case n > 1:
		return errHostDuplicate
	case n == 0 && h.Minor > 0:
		return errHostMissing
	case len(host) > 0 && !validAuthority(host, false):
		return errHostInvalid
	}
	if h.Form != AbsoluteForm && h.Form != AuthorityForm {
		h.Host = host
	}
	return nil
}

// connectionOptions reads one Connection field, RFC 9110 §7.6.1. Options other than these two
// name hop-by-hop fields, which matter only to intermediaries.
func connectionOptions(v []byte) (keepAlive, closing bool) {
	for more := true; more; {
		var e []byte
		e, v, more = cutElement(v)
		keepAlive = keepAlive || equalFold(e, "keep-alive")
		closing = closing || equalFold(e, "close")
	}
	return keepAlive, closing
}
