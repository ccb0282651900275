// Package httphead is the HTTP/1.1 that a user of evio or gnet has to write, because
// both move bytes and know no protocol: a request head parser and an answer encoder.
// Both use this one, so that the bench does not compare parsers.
//
// It reads what a careful small server reads: the request line, Connection,
// Content-Length; it refuses transfer codings. It is far from a strict parser
// (RFC 9112), so it flatters these two peers a little.
package httphead

import (
	"bytes"
	"errors"
	"strconv"
)

// Request holds views into the bytes that were parsed.
type Request struct {
	Method, Path []byte
	Close        bool // the client does not want another answer on this connection
}

// ErrMalformed says that the bytes are not a request. The connection must end.
var ErrMalformed = errors.New("malformed request")

// headMax bounds an endless head, in octets.
const headMax = 64 << 10

// Cut returns the first whole request in b and its length with its body. The length
// is 0 if b does not hold a whole request.
func Cut(b []byte) (r Request, n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > headMax {
			return r, 0, ErrMalformed
		}
		return r, 0, nil
	}
	head := b[:end+2]
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	method, line, ok := bytes.Cut(line, []byte(" "))
	path, version, ok2 := bytes.Cut(line, []byte(" "))
	if !ok || !ok2 || len(method) == 0 || len(path) == 0 || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return r, 0, ErrMalformed
	}
	r = Request{Method: method, Path: path, Close: string(version) == "HTTP/1.0"}
	body, err := r.fields(rest)
	if err != nil {
		return r, 0, err
	}
	if n = end + 4 + body; n > len(b) {
		return r, 0, nil
	}
	return r, n, nil
}

// fields reads the header lines and returns the length of the body.
func (r *Request) fields(rest []byte) (body int, err error) {
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 {
			return 0, ErrMalformed
		}
		switch len(name) { // so that most names are not compared
		case len("connection"):
			if bytes.EqualFold(name, []byte("connection")) {
				value = bytes.TrimSpace(value)
				r.Close = bytes.EqualFold(value, []byte("close")) || r.Close && !bytes.EqualFold(value, []byte("keep-alive"))
			}
		case len("content-length"):
			if bytes.EqualFold(name, []byte("content-length")) {
				body, err = strconv.Atoi(string(bytes.TrimSpace(value)))
				if err != nil || body < 0 {
					return 0, ErrMalformed
				}
			}
		case len("transfer-encoding"):
			if bytes.EqualFold(name, []byte("transfer-encoding")) {
				return 0, ErrMalformed
			}
		}
	}
	return body, nil
}

// AppendAnswer appends one answer with the four usual fields. date is already
// formatted; statusLine is like "200 OK".
func AppendAnswer(dst []byte, server, date, statusLine, body string, closing bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, statusLine...)
	dst = append(dst, "\r\nServer: "...)
	dst = append(dst, server...)
	dst = append(dst, "\r\nDate: "...)
	dst = append(dst, date...)
	dst = append(dst, "\r\nContent-Type: text/plain\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	if closing {
		dst = append(dst, "\r\nConnection: close"...)
	}
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

// Serve answers every whole request in b and appends the answers to dst. It returns
// how much of b it used, and whether the connection must end after the answers.
func Serve(dst, b []byte, server, date string) (out []byte, n int, closing bool) {
	for n < len(b) && !closing {
		r, used, err := Cut(b[n:])
		switch {
		case err != nil:
			return AppendAnswer(dst, server, date, "400 Bad Request", "malformed request\n", true), n, true
		case used == 0:
			return dst, n, false
		}
		n += used
		closing = r.Close
		if string(r.Method) == "GET" && string(r.Path) == "/hello" {
			dst = AppendAnswer(dst, server, date, "200 OK", "Hello, World!", closing)
		} else {
			dst = AppendAnswer(dst, server, date, "404 Not Found", "not found\n", closing)
		}
	}
	return dst, n, closing
}
