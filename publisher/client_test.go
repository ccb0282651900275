package publisher_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// backend answers with its requests' bodies and the fields that calls pass on.
func backend(t *testing.T) *httptest.Server {
	var tries atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s id=%s trace=%s", body, r.Header.Get("X-Request-Id"), r.Header.Get("Traceparent"))
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("0123456789abcdef", 1<<16)))
	})
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one ")
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "two")
	})
	mux.HandleFunc("/short", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "four")
	})
	mux.HandleFunc("/third", func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1)%3 != 0 {
			w.WriteHeader(503)
		}
	})
	mux.Handle("/moved", http.RedirectHandler("/echo", http.StatusTemporaryRedirect))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// fetch is a handler that passes its own request on to a backend.
func fetch(url string, options ...publisher.ClientOption) func(r *publisher.Request) (int, string, error) {
	return func(r *publisher.Request) (int, string, error) {
		req, err := http.NewRequest(r.Method(), url+strings.TrimPrefix(r.Path(), "/http"), strings.NewReader(string(r.Body())))
		if err != nil {
			return 0, "", err
		}
		resp, err := r.Client(options...).Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
}

// TestClient: requests from handlers on the loop, from mounted ones, from children and
// from offloaded functions.
func TestClient(t *testing.T) {
	to := backend(t)
	reg := publisher.NewRegistry()
	get := fetch(to.URL, publisher.Retries(2))
	reg.Handle("/", func(r *publisher.Request) error {
		status, body, err := get(r)
		if err != nil {
			return err
		}
		return r.Text(status, body)
	})
	reg.Handle("/http/", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		status, body, err := get(publisher.FromContext(req.Context()))
		if err != nil {
			status, body = 500, err.Error()
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})))
	reg.Handle("GET /offload", func(r *publisher.Request) error {
		c := r.Client()
		return r.Offload(func() error {
			resp, err := c.Get(to.URL + "/echo")
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
	})
	reg.Handle("GET /children", func(r *publisher.Request) error {
		bodies := make([]io.ReadCloser, 3)
		for i, path := range []string{"/echo", "/chunked", "/large"} {
			r.Go(func() error {
				resp, err := r.Client().Get(to.URL + path)
				if err == nil {
					bodies[i] = resp.Body
				}
				return err
			})
		}
		if err := r.Wait(); err != nil {
			return err
		}
		length := 0
		for _, b := range bodies { // after Wait
			text, err := io.ReadAll(b)
			if err != nil {
				return err
			}
			length += len(text)
		}
		return r.Text(200, fmt.Sprint(length))
	})
	reg.Handle("GET /left", func(r *publisher.Request) error {
		_, err := r.Client().Get(to.URL + "/large") // nobody reads or closes its body
		return err
	})
	s := publishertest.New(t, reg)
	fields := []string{"X-Request-Id: 7", "Traceparent: 00-1-2-01"}
	for _, at := range []string{"", "/http"} {
		for _, row := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"POST", "/echo", "hello", 200, "hello id=7 trace=00-1-2-01"},
			{"GET", "/echo", "", 200, " id=7 trace=00-1-2-01"},
			{"POST", "/moved", "again", 200, "again id=7 trace=00-1-2-01"},
			{"GET", "/chunked", "", 200, "one two"},
			{"GET", "/third", "", 200, ""},
			{"POST", "/third", "", 503, ""}, // not to be repeated
		} {
			if got := s.Request(row.method, at+row.path, "", row.body, fields...); got.Status != row.status || got.Body != row.want {
				t.Errorf("%s %s: %+v", row.method, at+row.path, got)
			}
		}
		if got := s.Request("GET", at+"/large", "", ""); len(got.Body) != 1<<20 {
			t.Errorf("%s/large: %d octets, %v", at, len(got.Body), got.Err)
		}
		if got := s.Request("GET", at+"/short", "", ""); got.Status != 500 {
			t.Errorf("%s/short: %+v", at, got)
		}
	}
	if got := s.Request("GET", "/offload", "", ""); got.Status != 204 {
		t.Errorf("/offload: %+v", got)
	}
	if got := s.Request("GET", "/children", "", ""); got.Body != fmt.Sprint(len(" id= trace=")+len("one two")+1<<20) {
		t.Errorf("/children: %+v", got)
	}
	if got := s.Request("GET", "/left", "", ""); got.Status != 204 {
		t.Errorf("/left: %+v", got)
	}
	for end := time.Now().Add(time.Minute); s.Server().Metrics() != nil; time.Sleep(time.Millisecond) {
		if busy := metricOf(s, "client_busy"); busy == 0 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%v requests hold their slots after their calls", busy)
		}
	}
}

func metricOf(s *publishertest.Server, name string) float64 {
	for _, m := range s.Server().Metrics() {
		if m.Name == name {
			return m.Value
		}
	}
	return -1
}

// TestClientErrors name the host and what to do.
func TestClientErrors(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	reg := publisher.NewRegistry()
	var kept *http.Client
	reg.Handle("GET /gone", func(r *publisher.Request) error {
		kept = r.Client()
		_, err := kept.Get(gone.URL)
		return err
	})
	reg.Handle("GET /kept", func(r *publisher.Request) error {
		_, err := kept.Get(gone.URL)
		return err
	})
	s := publishertest.New(t, reg)
	host := strings.TrimPrefix(gone.URL, "http://")
	if got := s.Request("GET", "/gone", "", ""); got.Status != 503 || !errors.Is(got.Err, publisher.ErrUnavailable) || !strings.Contains(got.Err.Error(), host) {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/kept", "", ""); !errors.Is(got.Err, publisher.ErrOver) {
		t.Errorf("another call's client: %+v", got)
	}
}
