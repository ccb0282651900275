package middleware_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	chi "github.com/go-chi/chi/v5/middleware"
	"github.com/klauspost/compress/gzhttp"

	"zamqp/publisher"
)

// TestManyAtOnce: handlers of all kinds inside of middleware that compresses, recovers and
// runs out of time, asked by clients of which some leave. Each answer that comes is the
// right one, and the server goes on.
func TestManyAtOnce(t *testing.T) {
	at := serveOurs(t, func(g *publisher.Registry) {
		g.Handle("GET /own/{n}", func(r *publisher.Request) error {
			if err := r.Sleep(time.Duration(len(r.PathValue("n"))) * time.Millisecond); err != nil {
				return err
			}
			return r.Text(200, "own "+r.PathValue("n"))
		})
		g.Handle("GET /work/{n}", func(r *publisher.Request) error {
			n := r.PathValue("n")
			if err := r.Offload(func() error { _ = r.Context().Err(); return nil }); err != nil {
				return err
			}
			return r.Text(200, "work "+n)
		})
		g.Handle("GET /net/{n}", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.ReadAll(req.Body)
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, "net "+req.PathValue("n"))
			_ = http.NewResponseController(w).Flush()
		})))
		g.Handle("GET /late/{n}", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			<-req.Context().Done()
			for range 10 { // the call is over, or will be soon
				_, _ = io.WriteString(w, req.URL.Path+req.Header.Get("X-None"))
				_ = publisher.FromContext(req.Context()).Sleep(time.Millisecond)
			}
		})))
		g.Handle("GET /never/{n}", func(r *publisher.Request) error { return r.Sleep(time.Hour) })
		g.Handle("GET /panic/{n}", func(*publisher.Request) error { panic("on purpose") })
		g.UseHTTP(chi.RequestLogger(silent{}))
		g.UseHTTP(chi.Recoverer)
		g.UseHTTP(func(next http.Handler) http.Handler {
			return http.TimeoutHandler(next, 20*time.Millisecond, "too slow")
		}, "/late/", "/never/")
		g.UseHTTP(func(next http.Handler) http.Handler { return gzhttp.GzipHandler(next) })
	})
	want := map[string]func(n int) (int, string){
		"own":   func(n int) (int, string) { return 200, fmt.Sprint("own ", n) },
		"work":  func(n int) (int, string) { return 200, fmt.Sprint("work ", n) },
		"net":   func(n int) (int, string) { return 200, fmt.Sprint("net ", n) },
		"late":  func(int) (int, string) { return 503, "too slow" },
		"never": func(int) (int, string) { return 503, "too slow" },
		"panic": func(int) (int, string) { return 500, "" },
		"none":  func(int) (int, string) { return 404, "404 page not found\n" },
	}
	client := &http.Client{Timeout: patience}
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	var group sync.WaitGroup
	for kind, expected := range want {
		group.Go(func() {
			for n := range rounds {
				path := fmt.Sprintf("/%s/%d", kind, n)
				status, body := expected(n)
				answer, err := client.Get("http://" + at + path)
				if err != nil {
					t.Errorf("%s: %v", path, err)
					return
				}
				got, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if answer.StatusCode != status || string(got) != body || err != nil {
					t.Errorf("%s: %s %q %v", path, answer.Status, got, err)
				}
			}
		})
		group.Go(func() { // clients that leave, in the middle of three requests
			for n := range rounds {
				c, err := net.Dial("tcp", at)
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					fmt.Fprintf(c, "GET /%s/%d HTTP/1.1\r\nHost: h\r\n\r\n", kind, n)
				}
				_, _ = c.Read(make([]byte, 1+n%2))
				_ = c.Close()
			}
		})
	}
	group.Wait()
}
