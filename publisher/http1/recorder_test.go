package http1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"zamqp/publisher/http1"
	"zamqp/tests/kit/racing"
	"zamqp/tests/kit/wiretest"
)

// recorder is a Handler that records its calls. It joins the pieces of a body, so that the
// record does not depend on how the input was cut.
type recorder struct {
	conn   *http1.Conn
	wire   *wiretest.Wire
	server *http1.Server
	log    strings.Builder
	body   []byte
	out    []byte // everything that has left
	gone   int

	onHead func(h *http1.Head) int
	onBody func(p []byte)
	onEnd  func() // default: answer 200 at once
	room   func() int
	max    int64
}

func newRecorder(cfg http1.Config) *recorder { return newRecorderOn(http1.NewServer(cfg)) }

func newRecorderOn(s *http1.Server) *recorder {
	r := &recorder{wire: wiretest.NewWire(), server: s}
	r.conn = r.server.NewConn(r.wire, r)
	r.conn.Tick(wiretest.Epoch)
	return r
}

func (r *recorder) Head(h *http1.Head) int {
	fmt.Fprintf(&r.log, "head %s %s %s path=%q query=%q host=%q %d.%d length=%d chunked=%t keep=%t expect=%t",
		h.Method, h.Target, h.Form, h.Path, h.Query, h.Host, h.Major, h.Minor, h.ContentLength, h.Chunked, h.KeepAlive, h.Expect100)
	for _, f := range h.Fields {
		fmt.Fprintf(&r.log, " %s=%q", f.Name, f.Value)
	}
	r.log.WriteString("\n")
	r.body = r.body[:0]
	if r.onHead != nil {
		return r.onHead(h)
	}
	return 0
}

func (r *recorder) Body(p []byte) {
	if len(p) == 0 {
		r.log.WriteString("EMPTY PIECE\n")
	}
	r.body = append(r.body, p...)
	if r.onBody != nil {
		r.onBody(p)
	}
}

func (r *recorder) Room() int {
	if r.room == nil {
		return 1 << 20
	}
	return r.room()
}

func (r *recorder) BodyMax() int64 { return r.max }

func (r *recorder) Trailer(f *http1.Field) { fmt.Fprintf(&r.log, "trailer %s=%q\n", f.Name, f.Value) }

func (r *recorder) End() {
	fmt.Fprintf(&r.log, "end body=%q\n", r.body)
	if r.onEnd != nil {
		r.onEnd()
		return
	}
	r.conn.Answer(200, "text/plain", nil, []byte("ok"))
}

func (r *recorder) Gone(cause error) {
	r.gone++
	fmt.Fprintf(&r.log, "gone %v\n", cause)
}

// sameHoweverCut fails unless input has the same transcript however it is cut.
func sameHoweverCut(t *testing.T, cfg http1.Config, input string) {
	t.Helper()
	s := http1.NewServer(cfg)
	if racing.Enabled && len(input) > 72 {
		// There is no second goroutine to race with: thousands of cuts under
		// the detector would cost a minute and find nothing more.
		checkCuts(t, s, []byte(input), uint16(len(input)/2))
		return
	}
	wiretest.AllSplits(t, []byte(input), func(chunks [][]byte) string { return transcript(s, chunks) })
}

// feed feeds as the loop does, keeping what is not taken, and flushes.
func (r *recorder) feed(chunks ...[]byte) (rest []byte, err error) {
	rest, err = wiretest.FeedChunks(func(in []byte) (int, error) {
		n, err := r.conn.Feed(in)
		r.flush()
		return n, err
	}, chunks)
	return rest, err
}

func (r *recorder) feedString(s string) (rest string, err error) {
	b, err := r.feed([]byte(s))
	return string(b), err
}

func (r *recorder) flush() {
	p := r.conn.Pending()
	r.out = append(r.out, p...)
	r.conn.Sent(len(p))
}

// answered returns what has left since the last call, without the Date.
func (r *recorder) answered() string {
	s := string(r.out)
	r.out = r.out[:0]
	return strings.ReplaceAll(s, "Date: "+wiretest.Epoch.Format("Mon, 02 Jan 2006 15:04:05 GMT")+"\r\n", "")
}

// transcript feeds chunks to a fresh connection and returns everything that can be seen of
// it. 100 Continue is left out: whether it is due depends on the cuts.
func transcript(s *http1.Server, chunks [][]byte) string {
	r := newRecorderOn(s)
	rest, err := r.feed(chunks...)
	if r.conn.OutLen() != 0 {
		return "OUTPUT LEFT"
	}
	out := strings.ReplaceAll(r.answered(), "HTTP/1.1 100 Continue\r\n\r\n", "")
	if err != nil {
		rest = nil // how much follows an error depends on the cuts
	}
	return fmt.Sprintf("%serror %v\nrest %q\nclosed %d aborted %d\n%s", r.log.String(), err, rest, r.wire.Closed, r.wire.Aborted, out)
}

func statusOf(t *testing.T, err error) int {
	t.Helper()
	var e *http1.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a *http1.Error", err)
	}
	return e.Status
}

const canary = "GET /canary HTTP/1.1\r\nHost: canary\r\n\r\n"

// limits are small, so that rows can exceed them.
var limits = http1.Config{TargetMax: 64, HeadMax: 512, FieldsMax: 8, BodyMax: 64, ServerName: "t"}
