package guide_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// shop is a registry of its own, because middleware would be around the handlers of the
// other pages as well.
func shop() *publisher.Registry {
	old := publisher.Default
	publisher.Default = publisher.NewRegistry()
	defer func() { publisher.Default = old }()
	router := http.NewServeMux()
	router.HandleFunc("POST /api/place", place)
	files := http.StripPrefix("/assets", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, req.URL.Path) }))
	publisher.Produce("orders", publisher.Producer{Queue: "orders"})
	mount(router, files)
	publisher.Handle("GET /api/whoami", whoami)
	publisher.Handle("POST /orders", whoami)
	protect()
	return publisher.Default
}

func mount(router, files http.Handler) {
	publisher.Handle("/api/", publisher.HTTP(router))     // on a goroutine of its own
	publisher.Handle("/assets/", publisher.Inline(files)) // on the loop's thread
}

func protect() {
	publisher.UseHTTP(logged)                             // around all handlers
	publisher.UseHTTP(keyNeeded, "/api/", "POST /orders") // around those of the requests that match
}

func place(w http.ResponseWriter, req *http.Request) {
	call := publisher.FromContext(req.Context())
	if err := call.Publish("orders", req.FormValue("item")); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted) // leaves when the broker has confirmed the order
}

type userKey struct{}

var users = map[string]string{"k1": "ada"}

func keyNeeded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user := users[req.Header.Get("X-Key")]
		if user == "" {
			http.Error(w, "a key is needed", http.StatusUnauthorized) // the handler does not run, nothing commits
			return
		}
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), userKey{}, user)))
	})
}

func whoami(r *publisher.Request) error {
	return r.Text(200, "you are "+r.Context().Value(userKey{}).(string))
}

// logged is middleware that shows that it was there.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Logged", req.Method+" "+req.URL.Path)
		next.ServeHTTP(w, req)
	})
}

// TestMountedAndMiddleware: what the page says of its handlers.
func TestMountedAndMiddleware(t *testing.T) {
	s := publishertest.New(t, shop())
	for _, row := range []struct {
		request, key, body string
		status, published  int
	}{
		{"GET /assets/a.css", "", "/a.css", 200, 0},
		{"GET /api/whoami", "k1", "you are ada", 200, 0},
		{"GET /api/whoami", "", "a key is needed\n", 401, 0},
		{"POST /orders", "", "a key is needed\n", 401, 0},
		{"POST /api/place?item=tea", "k1", "", 202, 1},
		{"POST /api/place?item=tea", "wrong", "a key is needed\n", 401, 0},
		{"GET /api/none", "k1", "404 page not found\n", 404, 0},
		{"OPTIONS /orders", "", "Method Not Allowed\n", 405, 0},
	} {
		method, target, _ := strings.Cut(row.request, " ")
		got := s.Request(method, target, "", "", "X-Key: "+row.key)
		path, _, _ := strings.Cut(target, "?")
		if got.Status != row.status || got.Body != row.body || got.Header.Get("X-Logged") != method+" "+path || len(s.Published()) != row.published {
			t.Errorf("%s: %+v", row.request, got)
		}
	}
}
