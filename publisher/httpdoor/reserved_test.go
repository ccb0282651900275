package httpdoor_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/http1"
)

// reserved are the fields that handlers may not set by the call's own methods. A
// net/http handler may set what it may set under net/http; the answer stays well formed.
var reserved = []string{"Connection", "Content-Length", "Content-Type", "Date", "Keep-Alive", "Trailer", "Transfer-Encoding", "Upgrade"}

// badValues are values that would do harm if they were sent beside the server's own fields.
var badValues = map[string]string{"Content-Length": "10", "Transfer-Encoding": "chunked", "Connection": "close", "Trailer": "X-T"}

func TestReservedFields(t *testing.T) {
	for _, name := range reserved {
		if name != "Content-Type" && !http1.IsReserved(name) {
			t.Errorf("%s: the machine writes it, and does not reserve it", name)
		}
		value := badValues[name]
		if value == "" {
			value = "mine"
		}
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			h := newHostOf(t, 0, http1.Config{ServerName: "zamqp"}, func(g *publisher.Registry) {
				g.Handle("GET /set", func(r *publisher.Request) error {
					r.SetHeader(spelling, value)
					return r.Text(200, "whole body")
				})
				g.Handle("GET /table", func(r *publisher.Request) error {
					r.SetHeaders(publisher.Table{spelling: value})
					return r.Text(200, "whole body")
				})
				g.Handle("GET /error", func(r *publisher.Request) error { return publisher.Errorf(418, "whole body").With(spelling, value) })
				set := func(w http.ResponseWriter, _ *http.Request) {
					w.Header()[spelling] = []string{value}
					_, _ = io.WriteString(w, "whole body")
				}
				g.Handle("GET /inline", publisher.Inline(http.HandlerFunc(set)))
				g.Handle("GET /inform", publisher.Inline(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header()[spelling] = []string{value}
					w.WriteHeader(103)
					delete(w.Header(), spelling)
					_, _ = io.WriteString(w, "whole body")
				})))
			})
			for path, status := range map[string]int{"/set": 500, "/table": 500, "/error": 418} {
				h.log.Reset()
				head, _ := answered(t, h.serve(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"), status)
				if log := h.log.String(); !strings.Contains(log, "header "+spelling+": it is the server's to send") {
					t.Errorf("%s %s: the log does not say why: %s", path, spelling, log)
				}
				once(t, path+" "+spelling, head)
				if name != "Date" && name != "Content-Type" && name != "Content-Length" && strings.Contains(strings.ToLower(head), "\n"+strings.ToLower(name)+":") {
					t.Errorf("%s %s: it was sent: %q", path, spelling, head)
				}
			}
			got := h.serve(t, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, body := answered(t, got, 200); body != "whole body" {
				t.Errorf("/inline %s: %q", spelling, got)
			}
			head, _, _ := strings.Cut(got, "\r\n\r\n")
			if name != "Content-Type" || spelling == name { // a second one comes beside it, as under net/http
				once(t, "/inline "+spelling, head+"\r\n")
			}
			got = h.serve(t, "GET /inform HTTP/1.1\r\nHost: x\r\n\r\n")
			early, rest, _ := strings.Cut(got, "\r\n\r\n")
			if strings.Contains(strings.ToLower(early), "\ncontent-length:") || strings.Contains(strings.ToLower(early), "\ntransfer-encoding:") {
				t.Errorf("/inform %s: an informational answer has no body: %q", spelling, early)
			}
			if head, body := answered(t, rest, 200); body != "whole body" {
				t.Errorf("/inform %s: %q", spelling, got)
			} else {
				once(t, "/inform "+spelling, head)
			}
		}
	}
}

// answered reads an answer as net/http does, which refuses contradicting framing.
func answered(t *testing.T, text string, status int) (head, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
	if err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	read, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Errorf("status %d, want %d, %v: %q", resp.StatusCode, status, err, text)
	}
	head, _, _ = strings.Cut(text, "\r\n\r\n")
	return head + "\r\n", string(read)
}

// once checks that no field of the server's comes twice, and that the body is framed in
// one way.
func once(t *testing.T, what, head string) {
	t.Helper()
	head = strings.ToLower(head)
	count := func(name string) int { return strings.Count(head, "\r\n"+strings.ToLower(name)+":") }
	for _, name := range append([]string{"Server"}, reserved...) {
		if count(name) > 1 {
			t.Errorf("%s: %s comes %d times: %q", what, name, count(name), head)
		}
	}
	if count("Server") != 1 || count("Date") != 1 || count("Content-Length")+count("Transfer-Encoding") != 1 {
		t.Errorf("%s: %q", what, head)
	}
}
