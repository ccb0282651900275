package nethttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// write makes a handler that writes pieces.
func write(pieces ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request, see func(...any)) {
		for _, p := range pieces {
			n, err := io.WriteString(w, p)
			see(n, err)
		}
	}
}

// setting makes a handler that sets fields, name and value by turns, and goes on.
func setting(next handler, fields ...string) handler {
	return func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Add(fields[i], fields[i+1])
		}
		next(w, r, see)
	}
}

// status makes a handler that writes a head and then pieces.
func status(code int, pieces ...string) handler {
	return func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		w.WriteHeader(code)
		write(pieces...)(w, r, see)
	}
}

func flush(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }

var nothing = write()

func TestBodies(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 20_000)
	rows := []row{
		{name: "nothing", handler: nothing},
		{name: "empty write", handler: write("")},
		{name: "plain", handler: write("some text")},
		{name: "two writes", handler: write("some ", "text")},
		{name: "html is sniffed", handler: write("<html><p>text")},
		{name: "octets are sniffed", handler: write("\x00\x01\x02")},
		{name: "sniffed by the first write only", handler: write("<ht", "ml><p>")},
		{name: "type given", handler: setting(write("<html>"), "Content-Type", "text/x")},
		{name: "type given empty", handler: setting(write("<html>"), "Content-Type", "")},
		{name: "type nil", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header()["Content-Type"] = nil
			write("<html>")(w, r, see)
		}},
		{name: "type twice", handler: setting(write("x"), "Content-Type", "a/b", "Content-Type", "c/d")},
		{name: "type without body", handler: setting(nothing, "Content-Type", "a/b")},
		{name: "type with control characters", handler: setting(write("x"), "Content-Type", "a/b\r\nX: y")},
		{name: "type with spaces around", handler: setting(write("x"), "Content-Type", "  a/b ")},
		{name: "encoded body is not sniffed", handler: setting(write("<html>"), "Content-Encoding", "gzip")},
		{name: "encoding empty", handler: setting(write("<html>"), "Content-Encoding", "")},
		{name: "status and body", handler: status(201, "made")},
		{name: "status alone", handler: status(404)},
		{name: "head twice", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.WriteHeader(202)
			status(500, "x")(w, r, see)
		}},
		{name: "head after body", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			write("x")(w, r, see)
			w.WriteHeader(500)
		}},
		{name: "fields after head", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header().Set("X-Before", "1")
			w.WriteHeader(200)
			w.Header().Set("X-After", "2")
			w.Header().Set("X-Before", "2")
			w.Header().Set("Content-Type", "a/b")
			write("x")(w, r, see)
			w.Header().Set("X-Last", "3")
		}},
		{name: "fields after body", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			write("x")(w, r, see)
			w.Header().Set("X-After", "2")
		}},
		{name: "length", handler: setting(write("12345"), "Content-Length", "5")},
		{name: "length, fewer octets", handler: setting(write("123"), "Content-Length", "5")},
		{name: "length, none", handler: setting(nothing, "Content-Length", "5")},
		{name: "length, more octets", handler: setting(write("123", "4567"), "Content-Length", "5")},
		{name: "length, more at once", handler: setting(write("1234567"), "Content-Length", "5")},
		{name: "length, one too many last", handler: setting(write("12345", "6"), "Content-Length", "5")},
		{name: "length malformed", differs: whyLength, handler: setting(write("12345"), "Content-Length", "five")},
		{name: "length negative", differs: whyLength, handler: setting(write("12345"), "Content-Length", "-5")},
		{name: "length plus", differs: whyLength, handler: setting(write("12345"), "Content-Length", "+5")},
		{name: "length leading zero", differs: whyLength, handler: setting(write("12345"), "Content-Length", "05")},
		{name: "length with space", sameHead: true, differs: whyLength, handler: setting(write("12345"), "Content-Length", " 5")},
		{name: "length twice", differs: whyLength, handler: setting(write("12345"), "Content-Length", "5", "Content-Length", "6")},
		{name: "length zero", handler: setting(nothing, "Content-Length", "0")},
		{name: "length set after head", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.WriteHeader(200)
			w.Header().Set("Content-Length", "3")
			write("12345")(w, r, see)
		}},
		{name: "2 KiB", handler: write(large[:2048])},
		{name: "3 KiB", differs: whyBuffer, handler: write(large[:3072])},
		{name: "3 KiB in pieces", differs: whyBuffer, handler: write(large[:1500], large[:1500], large[:72])},
		{name: "large", differs: whyBuffer, handler: write(large)},
		{name: "large in pieces", differs: whyBuffer, handler: write(large[:100_000], large[100_000:200_000], large[200_000:])},
		{name: "large with length", handler: setting(write(large), "Content-Length", fmt.Sprint(len(large)))},
		{name: "large with length, fewer", handler: setting(write(large), "Content-Length", fmt.Sprint(len(large)+1))},
		{name: "large with length, more", handler: setting(write(large, "x"), "Content-Length", fmt.Sprint(len(large)))},
		{name: "large with type", differs: whyBuffer, handler: setting(write(large), "Content-Type", "a/b")},
		{name: "copied from a reader", handler: func(w http.ResponseWriter, _ *http.Request, see func(...any)) {
			see(io.Copy(w, strings.NewReader("<html>text")))
		}},
		{name: "identity", handler: setting(write("text"), "Transfer-Encoding", "identity")},
		{name: "chunked by hand", handler: setting(write("text"), "Transfer-Encoding", "chunked")},
		{name: "gzip, chunked by hand", sameHead: true, differs: whyCoding, handler: setting(write("text"), "Transfer-Encoding", "gzip, chunked")},
		{name: "length and coding", handler: setting(write("text"), "Transfer-Encoding", "chunked", "Content-Length", "4")},
	}
	compare(t, head(rows))
}

func TestStatuses(t *testing.T) {
	var rows []row
	for _, code := range []int{204, 304, 600, 799, 999, 206, 226, 306, 418, 413, 422, 451, 499, 599, 200, 302, 500} {
		rows = append(rows,
			row{name: fmt.Sprint(code), handler: status(code)},
			row{name: fmt.Sprint(code, " with a body"), handler: status(code, "text")},
			row{name: fmt.Sprint("HEAD ", code, " with a body"), request: method("HEAD"), handler: status(code, "text")},
			row{name: fmt.Sprint(code, " with fields"), handler: setting(status(code), "Content-Type", "a/b", "Content-Length", "7", "ETag", `"x"`)},
		)
	}
	rows = append(rows,
		row{name: "205", handler: status(205)},
		row{name: "205 with a body", differs: whyReset, handler: status(205, "text")},
		row{name: "HEAD 205 with a body", differs: whyReset, request: method("HEAD"), handler: status(205, "text")},
		row{name: "205 with fields", differs: whyReset, handler: setting(status(205), "Content-Type", "a/b", "Content-Length", "7")},
	)
	for _, code := range []int{0, 1, 99, 1000, -1} {
		rows = append(rows, row{name: fmt.Sprint("invalid ", code), differs: whyPanic, handler: status(code, "text")})
	}
	for _, code := range []int{100, 102, 103, 150, 199} {
		rows = append(rows,
			row{name: fmt.Sprint("informational ", code), handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
				w.Header().Set("Link", "</a>; rel=preload")
				w.Header().Set("Content-Length", "4")
				w.Header().Set("Content-Type", "a/b")
				w.Header().Set("Transfer-Encoding", "x")
				w.WriteHeader(code)
				w.Header().Set("X-Later", "1")
				w.Header().Del("Transfer-Encoding")
				status(200, "text")(w, r, see)
			}},
			row{name: fmt.Sprint("informational alone ", code), handler: status(code)},
			row{name: fmt.Sprint("informational twice ", code), handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
				w.WriteHeader(code)
				w.Header().Set("X", "1")
				w.WriteHeader(code)
				status(204)(w, r, see)
			}},
			row{name: fmt.Sprint("informational late ", code), handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
				w.WriteHeader(200)
				w.WriteHeader(code)
				write("text")(w, r, see)
			}},
			row{name: fmt.Sprint("informational to HTTP/1.0 ", code), differs: whyOld, request: "GET / HTTP/1.0\r\n\r\n",
				handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
					w.WriteHeader(code)
					write("text")(w, r, see)
				}},
		)
	}
	rows = append(rows, row{name: "101", differs: whySwitch, handler: status(101)})
	compare(t, rows)
}

func TestFields(t *testing.T) {
	compare(t, []row{
		{name: "several of a name", handler: setting(nothing, "X-A", "1", "X-B", "b", "X-A", "2", "X-A", "1")},
		{name: "cookies", handler: func(w http.ResponseWriter, _ *http.Request, _ func(...any)) {
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "2 3", HttpOnly: true})
		}},
		{name: "empty value", handler: setting(nothing, "X-Empty", "")},
		{name: "nil values", handler: func(w http.ResponseWriter, _ *http.Request, _ func(...any)) {
			w.Header()["X-Nil"] = nil
			w.Header()["X-None"] = []string{}
		}},
		{name: "names as they are", handler: func(w http.ResponseWriter, _ *http.Request, _ func(...any)) {
			w.Header()["x-lower"] = []string{"1"}
			w.Header()["X-LOWER"] = []string{"2"}
			w.Header()["content-type"] = []string{"a/b"}
		}},
		{name: "type in lower case and body", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header()["content-type"] = []string{"a/b"}
			write("text")(w, r, see)
		}},
		{name: "length in lower case", differs: whyLength, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header()["content-length"] = []string{"3"}
			write("text")(w, r, see)
		}},
		{name: "connection in lower case", differs: whyClose, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header()["connection"] = []string{"close"}
			write("text")(w, r, see)
		}},
		{name: "name with a space", handler: setting(nothing, "X Y", "1", "X-Good", "2")},
		{name: "name empty", handler: setting(nothing, "", "1", "X-Good", "2")},
		{name: "name with a colon", handler: setting(nothing, "X:Y", "1", "X-Good", "2")},
		{name: "name with a line end", handler: setting(nothing, "X\r\nY", "1", "X-Good", "2")},
		{name: "name of UTF-8", handler: setting(nothing, "X-ä", "1", "X-Good", "2")},
		{name: "value with line ends", handler: setting(nothing, "X-A", "a\r\nb\nc\rd")},
		{name: "value with other controls", differs: whyControls, handler: setting(nothing, "X-A", "a\x00b\x01c\x7fd", "X-Good", "2")},
		{name: "value with a tab", handler: setting(nothing, "X-A", "a\tb")},
		{name: "value with spaces around", handler: setting(nothing, "X-A", " \t a \t ")},
		{name: "value of UTF-8", handler: setting(nothing, "X-A", "ä日")},
		{name: "value of other octets", handler: setting(nothing, "X-A", "\xe4\xff")},
		{name: "long value", handler: setting(nothing, "X-A", strings.Repeat("v", 10_000))},
		{name: "date", handler: setting(nothing, "Date", "Thu, 01 Jan 1970 00:00:00 GMT")},
		{name: "no date", differs: whyDate, handler: func(w http.ResponseWriter, _ *http.Request, _ func(...any)) { w.Header()["Date"] = nil }},
		{name: "date malformed", handler: setting(nothing, "Date", "today")},
		{name: "server", handler: setting(nothing, "Server", "mine")},
		{name: "keep-alive", handler: setting(nothing, "Keep-Alive", "timeout=5")},
		{name: "upgrade", handler: setting(nothing, "Upgrade", "h2c")},
		{name: "upgrade with connection", handler: setting(status(426), "Upgrade", "foo", "Connection", "Upgrade")},
		{name: "proxy fields", handler: setting(nothing, "Proxy-Connection", "keep-alive", "Proxy-Authenticate", "Basic", "TE", "trailers")},
		{name: "header kept over writes", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			h := w.Header()
			h.Set("X", "1")
			write("text")(w, r, see)
			see(w.Header().Get("X"), h.Get("Content-Type"), h.Get("Content-Length"), len(h))
		}},
		{name: "header cleared", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header().Set("X", "1")
			clear(w.Header())
			write("text")(w, r, see)
		}},
		{name: "values changed in place after head", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header()["X"] = []string{"before"}
			w.WriteHeader(200)
			w.Header()["X"][0] = "after"
		}},
	})
}

func TestTrailers(t *testing.T) {
	declared := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		w.Header().Set("Trailer", "X-Sum, x-other")
		w.Header().Add("Trailer", "X-Unset")
		w.Header().Set("X-Sum", "before")
		write("text")(w, r, see)
		w.Header().Set("X-Sum", "after")
		w.Header().Add("X-Sum", "again")
		w.Header().Set("X-Other", "1")
		w.Header().Set("X-Undeclared", "1")
	}
	prefixed := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		write("text")(w, r, see)
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
		w.Header().Add(http.TrailerPrefix+"x-lower", "2")
	}
	flushed := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		write("text")(w, r, see)
		see(flush(w))
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
	}
	early := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
		write("text")(w, r, see)
	}
	forbidden := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		w.Header().Set("Trailer", "Content-Length, Transfer-Encoding, Trailer, Content-Type, X-Ok")
		write("text")(w, r, see)
		w.Header().Set("Content-Length", "9")
		w.Header().Set("Content-Type", "a/b")
		w.Header().Set("X-Ok", "1")
	}
	large := strings.Repeat("t", 100_000)
	compare(t, []row{
		{name: "declared", handler: declared},
		{name: "declared, HEAD", request: method("HEAD"), handler: declared},
		{name: "declared, HTTP/1.0", request: "GET / HTTP/1.0\r\n\r\n", handler: declared},
		{name: "declared and length", handler: setting(declared, "Content-Length", "4")},
		{name: "declared, 204", handler: setting(status(204), "Trailer", "X-Sum")},
		{name: "declared without body", handler: setting(nothing, "Trailer", "X-Sum")},
		{name: "declared and never set", handler: setting(write("text"), "Trailer", "X-Sum")},
		{name: "declared and set before the head", handler: setting(write("text"), "Trailer", "X-Sum", "X-Sum", "1")},
		{name: "declared with a bad name", handler: setting(write("text"), "Trailer", "X Sum")},
		{name: "declared, empty", handler: setting(write("text"), "Trailer", "")},
		{name: "declared, large", differs: whyBuffer, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header().Set("Trailer", "X-Sum")
			write(large)(w, r, see)
			w.Header().Set("X-Sum", "1")
		}},
		{name: "prefixed after a short body", differs: whyTrailer, handler: prefixed},
		{name: "prefixed after a flush", handler: flushed},
		{name: "prefixed before the head", handler: early},
		{name: "prefixed before the head, HEAD", request: method("HEAD"), handler: early},
		{name: "prefixed and length", handler: setting(flushed, "Content-Length", "4")},
		{name: "prefixed, large", differs: whyBuffer, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			write(large)(w, r, see)
			w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
		}},
		{name: "prefixed with line ends", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header().Set(http.TrailerPrefix+"X-Sum", "a\r\nb")
			write("text")(w, r, see)
		}},
		{name: "forbidden names", handler: forbidden},
	})
}

func TestEnds(t *testing.T) {
	panics := func(value any, flushes bool, pieces ...string) handler {
		return func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header().Set("X-Set", "1")
			write(pieces...)(w, r, see)
			if flushes {
				see(flush(w))
			}
			panic(value)
		}
	}
	long := strings.Repeat("p", 200_000)
	old := "GET / HTTP/1.0\r\nHost: h\r\n\r\n"
	kept := "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
	flushes := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		write("first")(w, r, see)
		see(flush(w))
		write("second")(w, r, see)
		see(flush(w))
		see(flush(w))
		write("third")(w, r, see)
	}
	compare(t, []row{
		{name: "abort before", handler: panics(http.ErrAbortHandler, false)},
		{name: "abort after a write", handler: panics(http.ErrAbortHandler, false, "text")},
		{name: "abort after a flush", inline: whyInline, handler: panics(http.ErrAbortHandler, true, "text")},
		{name: "abort after much", inline: whyInline, differs: whyBuffer, handler: panics(http.ErrAbortHandler, true, long)},
		{name: "abort after a head", inline: whyInline, handler: panics(http.ErrAbortHandler, true)},
		{name: "abort wrapped", differs: whyPanic, handler: panics(fmt.Errorf("wrapped: %w", http.ErrAbortHandler), false)},
		{name: "panic before", differs: whyPanic, handler: panics("on purpose", false)},
		{name: "panic after a write", differs: whyPanic, handler: panics("on purpose", false, "text")},
		{name: "panic after a flush", inline: whyInline, handler: panics("on purpose", true, "text")},
		{name: "panic with an error", inline: whyInline, handler: panics(errors.New("on purpose"), true, "text")},
		{name: "panic nil", inline: whyInline, handler: panics(nil, true, "text")},
		{name: "close", handler: setting(write("text"), "Connection", "close")},
		{name: "close among others", differs: whyClose, handler: setting(write("text"), "Connection", "x, Close")},
		{name: "close in capitals", differs: whyClose, handler: setting(write("text"), "Connection", "Close")},
		{name: "close in two fields", differs: whyClose, handler: setting(write("text"), "Connection", "x", "Connection", "close")},
		{name: "close without body", handler: setting(nothing, "Connection", "close")},
		{name: "close, HEAD", request: method("HEAD"), handler: setting(write("text"), "Connection", "close")},
		{name: "close and flush", inline: whyInline, handler: setting(flushes, "Connection", "close")},
		{name: "keep-alive by the handler", handler: setting(write("text"), "Connection", "keep-alive")},
		{name: "other connection option", handler: setting(write("text"), "Connection", "X-Hop", "X-Hop", "1")},
		{name: "connection empty", handler: setting(write("text"), "Connection", "")},
		{name: "close by the client", request: with("Connection: close\r\n"), handler: write("text")},
		{name: "close by the client, in capitals", request: with("Connection: Close, x\r\n"), handler: write("text")},
		{name: "close by both", request: with("Connection: close\r\n"), handler: setting(write("text"), "Connection", "close")},
		{name: "keep-alive by the client", request: with("Connection: keep-alive\r\n"), handler: write("text")},
		{name: "close by the client, large", differs: whyBuffer, request: with("Connection: close\r\n"), handler: write(long)},
		{name: "HTTP/1.0", request: old, handler: write("text")},
		{name: "HTTP/1.0 without body", request: old, handler: nothing},
		{name: "HTTP/1.0 large", inline: whyInline, request: old, handler: write(long)},
		{name: "HTTP/1.0 flushed", inline: whyInline, request: old, handler: flushes},
		{name: "HTTP/1.0 keep-alive", request: kept, handler: write("text")},
		{name: "HTTP/1.0 keep-alive without body", request: kept, handler: nothing},
		{name: "HTTP/1.0 keep-alive, 204", request: kept, handler: status(204)},
		{name: "HTTP/1.0 keep-alive, 304", request: kept, handler: status(304)},
		{name: "HTTP/1.0 keep-alive with length", request: kept, handler: setting(write("text"), "Content-Length", "4")},
		{name: "HTTP/1.0 keep-alive by both", request: kept, handler: setting(write("text"), "Content-Length", "4", "Connection", "keep-alive")},
		{name: "HTTP/1.0 keep-alive, closed by the handler", request: kept, handler: setting(write("text"), "Connection", "close")},
		{name: "HTTP/1.0 keep-alive large", inline: whyInline, request: kept, handler: write(long)},
		{name: "HTTP/1.0 keep-alive flushed", inline: whyInline, request: kept, handler: flushes},
		{name: "HTTP/1.0 keep-alive, HEAD", request: strings.Replace(kept, "GET", "HEAD", 1), handler: write("text")},
		{name: "HTTP/1.0 keep-alive, HEAD without body", request: strings.Replace(kept, "GET", "HEAD", 1), handler: nothing},
		{name: "flush", inline: whyInline, handler: flushes},
		{name: "flush, HEAD", inline: whyInline, request: method("HEAD"), handler: flushes},
		{name: "flush with length", handler: setting(flushes, "Content-Length", "16")},
		{name: "flush with length, fewer", handler: setting(flushes, "Content-Length", "17")},
		{name: "flush with length, more", handler: setting(flushes, "Content-Length", "15")},
		{name: "flush first", inline: whyInline, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			see(flush(w))
			write("<html>")(w, r, see)
		}},
		{name: "flush alone", inline: whyInline, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) { see(flush(w)) }},
		{name: "flush, 204", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.WriteHeader(204)
			see(flush(w))
		}},
		{name: "flush, 304", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.WriteHeader(304)
			see(flush(w))
			write("text")(w, r, see)
		}},
		{name: "flush by the old interface", inline: whyInline, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			write("text")(w, r, see)
			w.(http.Flusher).Flush()
		}},
		{name: "fields after a flush", inline: whyInline, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header().Set("X", "1")
			write("text")(w, r, see)
			see(flush(w))
			w.Header().Set("X", "2")
			w.WriteHeader(500)
			write("more")(w, r, see)
		}},
	})
}
