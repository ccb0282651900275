package publishertest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// uploads has a route of each kind, whose handlers count what they get.
func uploads(t *testing.T, middleware ...func(http.Handler) http.Handler) *publishertest.Server {
	g := publisher.NewRegistry()
	for _, m := range middleware {
		g.UseHTTP(m)
	}
	g.Produce("done", publisher.Producer{Queue: "done"})
	answer := func(r *publisher.Request, n int64, err error) error {
		if err != nil {
			return err
		}
		if err := r.Publish("done", n); err != nil {
			return err
		}
		return r.Text(200, fmt.Sprint(n))
	}
	count := func(r *publisher.Request) error {
		n, err := io.Copy(io.Discard, r.BodyReader())
		return answer(r, n, err)
	}
	g.Handle("POST /whole", count)
	g.Handle("POST /streams", count, publisher.Streaming)
	g.Handle("POST /apart", func(r *publisher.Request) error {
		var n int64
		err := r.Offload(func() (err error) { n, err = io.Copy(io.Discard, r.BodyReader()); return err })
		return answer(r, n, err)
	}, publisher.Streaming)
	g.Handle("POST /http", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n, err := io.Copy(io.Discard, req.Body)
		r := publisher.FromContext(req.Context())
		if err := answer(r, n, err); err != nil {
			panic(err)
		}
	})))
	g.Handle("POST /parts", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		parts, err := req.MultipartReader()
		for err == nil {
			var part *multipart.Part
			if part, err = parts.NextPart(); err == nil {
				n, failed := io.Copy(io.Discard, part)
				fmt.Fprintln(w, part.FileName(), n, failed)
			}
		}
		if err != io.EOF {
			http.Error(w, err.Error(), 400)
		}
	})))
	return publishertest.New(t, g)
}

// TestRequestFrom: a streaming body arrives, with and without middleware around the handler.
func TestRequestFrom(t *testing.T) {
	t.Run("alone", func(t *testing.T) { testRequestFrom(t, uploads(t)) })
	t.Run("in middleware", func(t *testing.T) {
		testRequestFrom(t, uploads(t, func(next http.Handler) http.Handler { return next }))
	})
	t.Run("in middleware that bounds bodies", func(t *testing.T) {
		testRequestFrom(t, uploads(t, func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 1<<20) }))
	})
}

func testRequestFrom(t *testing.T, s *publishertest.Server) {
	const size = 1 << 20
	for _, path := range []string{"/whole", "/streams", "/apart", "/http"} {
		got := s.RequestFrom("POST", path, "a/b", io.LimitReader(strings.NewReader(strings.Repeat("x", size)), size))
		if got.Status != 200 || got.Body != fmt.Sprint(size) || len(s.Published()) != 1 {
			t.Errorf("%s: %+v", path, got)
		}
		got = s.RequestFrom("POST", path, "a/b", iotest.OneByteReader(strings.NewReader("abc")))
		if got.Status != 200 || got.Body != "3" || len(s.Published()) != 1 {
			t.Errorf("%s, octet by octet: %+v", path, got)
		}
		if path == "/whole" {
			continue
		}
		gone := errors.New("gone")
		got = s.RequestFrom("POST", path, "a/b", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(gone)))
		if !errors.Is(got.Err, publisher.ErrGone) && path != "/http" || got.Err == nil || len(s.Published()) != 0 {
			t.Errorf("%s, lost: %+v", path, got)
		}
	}
	if got := s.RequestFrom("POST", "/nowhere", "", strings.NewReader("x")); got.Status != 404 {
		t.Errorf("%+v", got)
	}
}

// TestRequestFromParts: the parts of an upload are read as they come, whatever their size.
func TestRequestFromParts(t *testing.T) {
	size := int64(64 << 20)
	if testing.Short() {
		size = 4 << 20
	}
	var head bytes.Buffer
	m := multipart.NewWriter(&head)
	part, err := m.CreateFormFile("file", "a.bin")
	if err != nil {
		t.Fatal(err)
	}
	_ = part
	body := io.MultiReader(&head, io.LimitReader(zeros{}, size), strings.NewReader("\r\n--"+m.Boundary()+"--\r\n"))
	got := uploads(t).RequestFrom("POST", "/parts", m.FormDataContentType(), body)
	if want := fmt.Sprintf("a.bin %d <nil>\n", size); got.Status != 200 || got.Body != want {
		t.Errorf("%+v", got)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
