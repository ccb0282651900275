package nethttp_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience only bounds a hang: a machine under load gets there.
const patience = time.Minute

// converse says a request, and what follows it once an answer's head has come,
// then asks for the end, and returns all that was answered. A connection that was
// closed or reset before shows in the end's missing.
func converse(t *testing.T, address, request, then string) []byte {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	var answer []byte
	if then == "" {
		request += endRequest
	}
	_, _ = io.WriteString(c, request)
	if then != "" {
		for b := make([]byte, 1); !bytes.Contains(answer, []byte("\r\n\r\n")); {
			n, err := c.Read(b)
			answer = append(answer, b[:n]...)
			if err != nil {
				break
			}
		}
		_, _ = io.WriteString(c, then+endRequest)
	}
	rest, err := io.ReadAll(c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Errorf("%s: neither answered nor closed", address)
	}
	return append(answer, rest...)
}

// render makes an answer comparable and readable. Everything stays octet by octet,
// except for what the guide says about every answer: fields are sorted by name, and
// the reason phrase (RFC 9110 §15.1), the value of Date and what HTTP/1.0 clients
// get in addition are left out. A long body is shown by its hash.
func render(answer []byte, method string, old bool) string {
	var b strings.Builder
	for len(answer) > 0 {
		if method == "" && isEnd(answer) {
			return b.String() + "the connection goes on\n"
		}
		head, rest, whole := bytes.Cut(answer, []byte("\r\n\r\n"))
		if !whole {
			fmt.Fprintf(&b, "cut head %q\n", answer)
			return b.String()
		}
		lines := strings.Split(string(head), "\r\n")
		status, fields := lines[0], lines[1:]
		status = status[:min(len(status), len("HTTP/1.1 200"))]
		if old && method != "" { // but of the end
			status = strings.Replace(status, "HTTP/1.0", "HTTP/1.1", 1)
			fields = slices.DeleteFunc(fields, func(f string) bool { return f == "Connection: close" })
		}
		slices.SortStableFunc(fields, func(a, b string) int {
			return cmp.Or(strings.Compare(fieldName(a), fieldName(b)), strings.Compare(a[:len(fieldName(a))], b[:len(fieldName(b))]))
		})
		fmt.Fprintf(&b, "%q\n", status)
		for _, f := range fields {
			if date, is := strings.CutPrefix(f, "Date: "); is && now(date) {
				f = "Date: *"
			}
			fmt.Fprintf(&b, "  %q\n", f)
		}
		n := bodyLength(status, fields, rest, method)
		if n > 0 {
			fmt.Fprintf(&b, "  body %s\n", short(rest[:n]))
		}
		if answer = rest[n:]; !strings.HasPrefix(status, "HTTP/1.1 1") {
			method = ""
		}
	}
	return b.String()
}

// isEnd tells whether an answer is that to endRequest.
func isEnd(answer []byte) bool {
	return bytes.HasPrefix(answer, []byte("HTTP/1.1 200 OK\r\n")) && bytes.HasSuffix(answer, []byte("\r\n\r\n"+endAnswer)) &&
		bytes.Contains(answer, []byte("\r\nConnection: close\r\n")) && bytes.Count(answer, []byte("\r\n\r\n")) == 1
}

// now tells whether a date is the present one.
func now(date string) bool {
	at, err := http.ParseTime(date)
	return err == nil && time.Since(at).Abs() < time.Hour
}

func fieldName(line string) string {
	name, _, _ := strings.Cut(line, ":")
	return strings.ToLower(name)
}

func short(body []byte) string {
	if len(body) <= 600 {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("of %d octets, SHA-256 %x", len(body), sha256.Sum256(body))
}

// bodyLength is how many octets of rest are the body of an answer, as they are on
// the wire.
func bodyLength(status string, fields []string, rest []byte, method string) int {
	code := status[min(len(status), len("HTTP/1.1 ")):]
	if method == "HEAD" || strings.HasPrefix(code, "1") || strings.HasPrefix(code, "204") || strings.HasPrefix(code, "304") {
		return 0
	}
	for _, f := range fields {
		switch fieldName(f) {
		case "content-length":
			n, _ := strconv.Atoi(strings.TrimSpace(f[len("Content-Length:"):]))
			return min(n, len(rest))
		case "transfer-encoding":
			return chunksLength(rest)
		}
	}
	return len(rest)
}

func chunksLength(rest []byte) int {
	at := 0
	for {
		i := bytes.Index(rest[at:], []byte("\r\n"))
		if i < 0 {
			return len(rest)
		}
		size, err := strconv.ParseUint(string(rest[at:at+i]), 16, 31)
		at += i + 2
		if err != nil || at+int(size)+2 > len(rest) {
			return len(rest)
		}
		if size > 0 {
			at += int(size) + 2
			continue
		}
		for { // trailer lines
			i := bytes.Index(rest[at:], []byte("\r\n"))
			if i < 0 {
				return len(rest)
			}
			if at += i + 2; i == 0 {
				return at
			}
		}
	}
}
