package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

func init() {
	const enough = 2 << 30
	publisher.Handle("POST /upload/call", upload, publisher.Streaming, publisher.BodyMax(enough))
	publisher.Handle("POST /upload/apart", func(r *publisher.Request) error {
		return errors.Join(r.Offload(func() error { return storeParts(r) }), r.Text(200, "stored"))
	}, publisher.Streaming, publisher.BodyMax(enough))
	publisher.Handle("POST /upload/http", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := storeParts(publisher.FromContext(req.Context())); err != nil {
			panic(err)
		}
		fmt.Fprint(w, "stored")
	})), publisher.BodyMax(enough))
	publisher.Handle("POST /upload/slowly", func(r *publisher.Request) error {
		see("upload: begun")
		first := make([]byte, 1)
		if _, err := io.ReadFull(r.BodyReader(), first); err != nil {
			see("upload: " + err.Error())
			return err
		}
		if err := r.Publish("e2e-done", "uploaded"); err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, r.BodyReader())
		if err != nil {
			see("upload: cut")
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				see("upload: " + err.Error())
			}
			return nil // the call fails all the same
		}
		return r.Text(200, strconv.FormatInt(n+1, 10))
	}, publisher.Streaming)
	publisher.Handle("POST /upload/never", func(r *publisher.Request) error { return r.Reply(403, "no") }, publisher.Streaming)
	publisher.Handle("POST /upload/deadline", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := io.ReadAll(req.Body)
		_ = c.SetReadDeadline(time.Time{})
		fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded))
	})))
	publisher.Handle("POST /upload/echo", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := http.NewResponseController(w)
		_ = c.EnableFullDuplex()
		b := bufio.NewReader(req.Body)
		for {
			line, err := b.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, strings.ToUpper(line))
			_ = c.Flush()
		}
	})))
}

// stored has what the handlers have got: the hash of the part, and the most memory that was in
// use meanwhile.
var stored = struct {
	hash atomic.Value
	most atomic.Uint64
}{}

// upload stores the part of an upload on the loop's thread, a piece at a time.
func upload(r *publisher.Request) error {
	if err := storeParts(r); err != nil {
		return err
	}
	return r.Text(200, "stored")
}

func storeParts(r *publisher.Request) error {
	_, params, err := mime.ParseMediaType(r.Header("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(r.BodyReader(), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		sum := &measured{Hash: sha256.New()}
		if _, err := io.Copy(sum, part); err != nil {
			return err
		}
		stored.hash.Store(hex.EncodeToString(sum.Sum(nil)))
	}
}

// measured is a hash that looks at the memory in use every 16 MiB that it gets.
type measured struct {
	hash.Hash
	n int
}

func (m *measured) Write(p []byte) (int, error) {
	if m.n += len(p); m.n >= 16<<20 {
		m.n = 0
		stored.most.Store(max(stored.most.Load(), inUse()))
	}
	return m.Hash.Write(p)
}

// inUse returns how much memory is in use after a collection.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestUploadInLittleMemory: an upload of any size takes some MiB, with each kind of handler, over
// TLS too.
func TestUploadInLittleMemory(t *testing.T) {
	size := int64(64 << 20)
	if os.Getenv("ZAMQP_TEST_LONG") != "" {
		size = 1 << 30
	}
	own := selfsigned.New(t)
	s, secure := startTLS(t, own)
	c := httpsClient(&tls.Config{RootCAs: own.Pool, ServerName: "localhost"})
	c.Timeout = 10 * time.Minute
	for _, url := range []string{s.url + "/upload/call", s.url + "/upload/apart", s.url + "/upload/http", "https://" + secure + "/upload/http"} {
		var head bytes.Buffer
		m := multipart.NewWriter(&head)
		if _, err := m.CreateFormFile("file", "large.bin"); err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		body := io.MultiReader(&head, io.TeeReader(io.LimitReader(&counting{}, size), sum), strings.NewReader("\r\n--"+m.Boundary()+"--\r\n"))
		before := inUse()
		stored.most.Store(0)
		resp, err := c.Post(url, m.FormDataContentType(), body)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		most := stored.most.Load()
		t.Logf("%s: %d KiB more in use", url, (int64(most)-int64(before))>>10)
		if want := hex.EncodeToString(sum.Sum(nil)); resp.StatusCode != 200 || string(text) != "stored" || stored.hash.Load() != want {
			t.Errorf("%s: %s %s, %v and not %s", url, resp.Status, text, stored.hash.Load(), want)
		}
		if most > before+10<<20 {
			t.Errorf("%s: %d octets were in use before and %d meanwhile", url, before, most)
		}
	}
	if held := s.metric("http_body_bytes"); held != 0 {
		t.Errorf("%v octets are held", held)
	}
}

// counting is a body in which no two blocks are the same.
type counting struct{ n uint64 }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		c.n++
		p[i] = byte(c.n ^ c.n>>11)
	}
	return len(p), nil
}

// raw is a connection on which a test writes a request itself.
func (s *server) raw(request string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, request)
	return conn, bufio.NewReader(conn)
}

const uploading = "POST /upload/slowly HTTP/1.1\r\nHost: x\r\n"

// TestUploadThatIsLost: if a part of the body is missing, nothing is published and the handler
// gets an error, however the body ends.
func TestUploadThatIsLost(t *testing.T) {
	s := start(t, embedded, "http.body_max=64KiB")
	begun, cut := saw("upload: begun"), saw("upload: cut")
	for i, row := range []struct {
		name, body, status string
		end                func(net.Conn)
	}{
		{"closed", "5\r\nhello\r\n", "", func(c net.Conn) { _ = c.Close() }},
		{"reset", "5\r\nhello\r\n", "", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }},
		{"half-closed", "5\r\nhello\r\n", "400 ", func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }},
		{"too long", "5\r\nhello\r\n10000\r\n", "413 ", func(net.Conn) {}},
		{"malformed", "5\r\nhello\r\nx\r\n", "400 ", func(net.Conn) {}},
	} {
		conn, b := s.raw(uploading + "Transfer-Encoding: chunked\r\n\r\n" + row.body)
		wait.Until(t, row.name+": the handler runs", func() bool { return saw("upload: begun") == begun+i+1 })
		row.end(conn)
		wait.Until(t, row.name+": the handler is told", func() bool { return saw("upload: cut") == cut+i+1 })
		if row.status != "" {
			line, err := b.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+row.status) {
				t.Errorf("%s: %q %v", row.name, line, err)
			}
		}
	}
	if status, text := s.do("POST", "/upload/slowly", "", "whole"); status != 200 || text != "5" {
		t.Errorf("%d %s", status, text)
	}
	ch := s.channel()
	wait.Until(t, "one message", func() bool {
		q, err := ch.QueueDeclarePassive("e2e-done", true, false, false, false, nil)
		return err == nil && q.Messages == 1
	})
	if n := saw("upload: begun") - begun; n != 6 {
		t.Errorf("the handler ran %d times", n)
	}
}

// TestUploadAndDrain: a body that comes while the server drains is read to its end.
func TestUploadAndDrain(t *testing.T) {
	s := start(t, embedded)
	before := saw("upload: begun")
	conn, b := s.raw(uploading + "Content-Length: 10\r\n\r\nhello")
	wait.Until(t, "the handler runs", func() bool { return saw("upload: begun") == before+1 })
	s.stop()
	s.log.Await(t, "draining")
	fmt.Fprint(conn, "world")
	text, _ := io.ReadAll(b)
	if err := s.drain(); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200 ") || !strings.HasSuffix(string(text), "\r\n\r\n10") {
		t.Errorf("%v, %q", err, text)
	}
}

// TestUploadIsRefused: a handler that does not want the body answers before it comes.
func TestUploadIsRefused(t *testing.T) {
	s := start(t, embedded)
	const never = "POST /upload/never HTTP/1.1\r\nHost: x\r\n"
	get := "GET /sleep/0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	_, b := s.raw(never + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000) + get)
	text, _ := io.ReadAll(b)
	if got := string(text); !strings.HasPrefix(got, "HTTP/1.1 403 ") || !strings.HasSuffix(got, "rested") {
		t.Errorf("a short body: %q", got)
	}
	_, b = s.raw(never + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	text, _ = io.ReadAll(b)
	if got := string(text); !strings.HasPrefix(got, "HTTP/1.1 403 ") || !strings.Contains(got, "Connection: close") {
		t.Errorf("a body that waits for 100 Continue: %q", got)
	}
	conn, b := s.raw(never + "Content-Length: 8000000\r\n\r\n")
	go func() { _, _ = io.Copy(conn, io.LimitReader(&counting{}, 8_000_000)) }()
	line, _ := b.ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 403 ") {
		t.Errorf("a long body: %q", line)
	}
}

// TestReadDeadline: http.ResponseController bounds how long a mounted handler waits for a body.
func TestReadDeadline(t *testing.T) {
	s := start(t, embedded)
	_, b := s.raw("POST /upload/deadline HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc")
	resp, err := http.ReadResponse(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(resp.Body); string(text) != "true" || err != nil {
		t.Errorf("%q %v", text, err)
	}
}

// TestFullDuplex: net/http's client and a mounted handler talk within one request.
func TestFullDuplex(t *testing.T) {
	s := start(t, embedded)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	from, to := io.Pipe()
	req, _ := http.NewRequestWithContext(ctx, "POST", s.url+"/upload/echo", from)
	go fmt.Fprintln(to, "first")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := bufio.NewReader(resp.Body)
	for _, want := range []string{"FIRST\n", "SECOND\n", "THIRD\n"} {
		if got, err := b.ReadString('\n'); got != want {
			t.Fatalf("%q %v", got, err)
		}
		switch want {
		case "FIRST\n":
			fmt.Fprintln(to, "second")
		case "SECOND\n":
			fmt.Fprintln(to, "third")
		}
	}
	_ = to.Close()
	if rest, err := io.ReadAll(b); len(rest) != 0 || err != nil {
		t.Fatalf("%q %v", rest, err)
	}
}
