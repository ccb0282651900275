package middleware_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	chi "github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"github.com/go-chi/jwtauth/v5"
	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/cors"

	"zamqp/publisher"
)

func itoa(n int) string { return strconv.Itoa(n) }

// site has the same three routes as handlers of net/http and as ours.
var site = []struct {
	pattern string
	theirs  http.HandlerFunc
	ours    publisher.Handler
}{
	{"POST /api/echo", func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("X-Handler", "echo")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s", req.Header.Get("X-Tenant"), body)
	}, func(r *publisher.Request) error {
		r.SetHeader("X-Handler", "echo")
		return r.Text(http.StatusCreated, r.Header("X-Tenant")+" "+string(r.Body()))
	}},
	{"GET /api/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Length", itoa(len(large)))
		_, _ = io.WriteString(w, large)
	}, func(r *publisher.Request) error { return r.Text(200, large) }},
	{"GET /api/me", func(w http.ResponseWriter, req *http.Request) {
		_, claims, _ := jwtauth.FromContext(req.Context())
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, claims["user"])
	}, func(r *publisher.Request) error {
		_, claims, _ := jwtauth.FromContext(r.Context())
		return r.Text(200, fmt.Sprint(claims["user"]))
	}},
	{"GET /api/refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not here", http.StatusConflict) },
		func(r *publisher.Request) error {
			r.SetHeader("X-Content-Type-Options", "nosniff")
			return publisher.Errorf(http.StatusConflict, "not here")
		}},
	{"GET /api/panic", func(http.ResponseWriter, *http.Request) { panic("on purpose") }, func(*publisher.Request) error { panic("on purpose") }},
}

var large = strings.Repeat("a line that compresses well\n", 5000)

// chainOf puts middleware around a handler, the first one outermost.
func chainOf(h http.Handler, chain []func(http.Handler) http.Handler) http.Handler {
	for i := len(chain) - 1; i >= 0; i-- {
		h = chain[i](h)
	}
	return h
}

// servers are the site under net/http, under ours with mounted handlers, and with our own.
func servers(t *testing.T, make func() []func(http.Handler) http.Handler) (theirs, mounted, ours string) {
	mux := http.NewServeMux()
	for _, s := range site {
		mux.Handle(s.pattern, s.theirs)
	}
	theirs = serveTheirs(t, chainOf(mux, make()))
	register := func(own bool) func(g *publisher.Registry) {
		return func(g *publisher.Registry) {
			for _, s := range site {
				if own {
					g.Handle(s.pattern, s.ours)
				} else {
					g.Handle(s.pattern, publisher.HTTP(s.theirs))
				}
			}
			for _, m := range make() {
				g.UseHTTP(m)
			}
		}
	}
	return theirs, serveOurs(t, register(false)), serveOurs(t, register(true))
}

// compare sends requests, one after the other, to all three.
func compare(t *testing.T, make func() []func(http.Handler) http.Handler, requests ...string) {
	t.Helper()
	theirs, mounted, ours := servers(t, make)
	for _, r := range requests {
		want := ask(t, theirs, r)
		for kind, address := range map[string]string{"mounted": mounted, "ours": ours} {
			if got := ask(t, address, r); got != want {
				t.Errorf("%s, %.60q answers\n%.2000s\nnet/http answers\n%.2000s", kind, r, got, want)
			}
		}
	}
}

func use(chain ...func(http.Handler) http.Handler) func() []func(http.Handler) http.Handler {
	return func() []func(http.Handler) http.Handler { return chain }
}

// TestCORS: a preflight request has no route, and an actual one of another origin, or
// without a route, gets the fields as well.
func TestCORS(t *testing.T) {
	c := cors.New(cors.Options{AllowedOrigins: []string{"https://app.example"}, AllowedMethods: []string{"GET", "POST"}, AllowedHeaders: []string{"X-Tenant"}, AllowCredentials: true, MaxAge: 600})
	compare(t, use(c.Handler),
		request("OPTIONS /api/echo", "", "Origin: https://app.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-tenant"),
		request("OPTIONS /api/echo", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST"),
		request("OPTIONS /api/echo", ""),
		request("POST /api/echo", "body", "Origin: https://app.example", "X-Tenant: acme"),
		request("POST /api/echo", "body", "Origin: https://evil.example", "X-Tenant: acme"),
		request("GET /api/none", "", "Origin: https://app.example"),
		request("GET /api/echo", "", "Origin: https://app.example"),
		request("GET /api/refused", "", "Origin: https://app.example"),
	)
}

// year is a window of a limit that does not end during a test.
const year = 365 * 24 * time.Hour

// byClient is a key of a limit: the client's address. The server knows it behind trusted
// proxies, too.
func byClient(req *http.Request) (string, error) {
	if call := publisher.FromContext(req.Context()); call != nil {
		return call.ClientAddr().String(), nil
	}
	host, _, err := net.SplitHostPort(req.RemoteAddr) // under net/http
	return host, err
}

// TestRateLimit: the third request is refused, and its handler does not run.
func TestRateLimit(t *testing.T) {
	limit := func() []func(http.Handler) http.Handler {
		return []func(http.Handler) http.Handler{httprate.LimitBy(2, year, byClient, httprate.WithResponseHeaders(httprate.ResponseHeaders{Limit: "X-Limit", Remaining: "X-Remaining"}))}
	}
	me := request("GET /api/refused", "")
	compare(t, limit, me, request("GET /api/none", ""), me, me)
}

// TestTokens: without a valid one it is 401; with one the claims reach the handler by its context.
func TestTokens(t *testing.T) {
	auth := jwtauth.New("HS256", []byte("a secret of the test"), nil)
	_, token, err := auth.Encode(map[string]any{"user": "ada"})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, use(jwtauth.Verifier(auth), jwtauth.Authenticator(auth)),
		request("GET /api/me", ""),
		request("GET /api/me", "", "Authorization: Bearer "+token),
		request("GET /api/me", "", "Authorization: Bearer "+token+"x"),
		request("GET /api/me", "", "Cookie: jwt="+token),
		request("GET /api/none", ""),
	)
}

// TestCompression: the answers of our own handlers are compressed by the writer that
// gzhttp wraps.
func TestCompression(t *testing.T) {
	zip := func(next http.Handler) http.Handler { return gzhttp.GzipHandler(next) }
	compare(t, use(zip),
		request("GET /api/large", "", "Accept-Encoding: gzip"),
		request("GET /api/large", ""),
		request("POST /api/echo", "small", "Accept-Encoding: gzip"),
		request("GET /api/refused", "", "Accept-Encoding: gzip"),
		request("GET /api/none", "", "Accept-Encoding: gzip"),
	)
}

// TestChiMiddleware: middleware that changes the request, that recovers, and that ends a call in
// time.
func TestChiMiddleware(t *testing.T) {
	quiet := chi.RequestLogger(silent{})
	echo := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("X-Id", chi.GetReqID(req.Context()))
			w.Header().Set("X-Address", chi.GetClientIP(req.Context()))
			next.ServeHTTP(w, req)
		})
	}
	compare(t, use(chi.RequestID, chi.ClientIPFromHeader("X-Real-Ip"), quiet, chi.Recoverer, chi.Timeout(time.Minute), chi.NoCache, chi.StripSlashes, chi.AllowContentType("text/plain"), echo),
		request("GET /api/refused", "", "X-Request-Id: 1", "X-Real-Ip: 192.0.2.7"),
		request("POST /api/echo", "body", "X-Request-Id: 2", "X-Real-Ip: 192.0.2.7", "Content-Type: text/plain"),
		request("POST /api/echo", "body", "X-Request-Id: 3", "X-Real-Ip: 192.0.2.7", "Content-Type: a/b"),
		request("GET /api/panic", "", "X-Request-Id: 4", "X-Real-Ip: 192.0.2.7"),
	)
}

// silent is a log that writes nothing, not even panics.
type silent struct{}

func (silent) NewLogEntry(*http.Request) chi.LogEntry          { return silent{} }
func (silent) Write(int, int, http.Header, time.Duration, any) {}
func (silent) Panic(any, []byte)                               {}

// TestAllTogether: in the order of their registration, with many requests at once.
func TestAllTogether(t *testing.T) {
	auth := jwtauth.New("HS256", []byte("a secret of the test"), nil)
	_, token, _ := auth.Encode(map[string]any{"user": "ada"})
	zip := func(next http.Handler) http.Handler { return gzhttp.GzipHandler(next) }
	theirs, mounted, ours := servers(t, use(chi.Recoverer, cors.Default().Handler, zip, httprate.LimitBy(1_000_000, year, httprate.Key("*"), httprate.WithResponseHeaders(httprate.ResponseHeaders{})), jwtauth.Verifier(auth), jwtauth.Authenticator(auth)))
	large := request("GET /api/large", "", "Accept-Encoding: gzip", "Origin: https://app.example", "Authorization: Bearer "+token)
	refused := request("GET /api/large", "", "Accept-Encoding: gzip", "Origin: https://app.example")
	want := []string{ask(t, theirs, large), ask(t, theirs, refused)}
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			for j, r := range []string{large, refused} {
				if got := ask(t, []string{mounted, ours}[i%2], r); got != want[j] {
					t.Errorf("%.60q answers\n%.600q\nnet/http answers\n%.600q", r, got, want[j])
				}
			}
		})
	}
	group.Wait()
}

// TestCompressionOfStreams: a writer that compresses does not see what follows the commit,
// and must not announce it either.
func TestCompressionOfStreams(t *testing.T) {
	files := fstest.MapFS{"large.txt": {Data: []byte(large), ModTime: time.Unix(1_000_000_000, 0)}, "small.txt": {Data: []byte("small")}}
	for name, compress := range map[string]func(http.Handler) http.Handler{
		"gzhttp": func(next http.Handler) http.Handler { return gzhttp.GzipHandler(next) }, "chi": chi.Compress(5),
	} {
		at := serveOurs(t, func(g *publisher.Registry) {
			g.Handle("GET /stream", func(r *publisher.Request) error {
				return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error { _, err := io.WriteString(w, large); return err })
			})
			g.Handle("GET /files/", publisher.Files(files))
			g.UseHTTP(compress)
		})
		for path, want := range map[string]string{"/stream": large, "/files/large.txt": large, "/files/small.txt": "small"} {
			answer, err := (&http.Client{Timeout: patience}).Get("http://" + at + path) // it asks for gzip, and unpacks it
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if err != nil || answer.StatusCode != 200 || string(body) != want {
				t.Errorf("%s: %s: %s, %d octets, %v", name, path, answer.Status, len(body), err)
			}
		}
	}
}
