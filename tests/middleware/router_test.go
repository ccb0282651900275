package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"zamqp/publisher"
)

// newRouter is a router of chi with what its users use: middleware, wildcards, groups,
// sub-routers and its own 404 and 405.
func newRouter() http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.RequestSize(20), middleware.StripSlashes, middleware.GetHead, middleware.Compress(5))
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "root") })
	r.Route("/items/{id:[0-9]+}", func(r chi.Router) {
		r.Use(middleware.WithValue("k", "v"))
		r.Get("/", func(w http.ResponseWriter, req *http.Request) {
			fmt.Fprint(w, chi.URLParam(req, "id"), " ", req.PathValue("id"), " ", chi.RouteContext(req.Context()).RoutePattern(), " ", req.Context().Value("k"))
		})
		r.Put("/", func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
				return
			}
			_, _ = w.Write(body)
		})
	})
	r.Mount("/sub", http.StripPrefix("/sub", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, req.URL.Path) })))
	r.Get("/files/*", func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, chi.URLParam(req, "*")) })
	r.With(middleware.Timeout(time.Millisecond)).Get("/slow", func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	r.With(middleware.Throttle(1)).Get("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, large)
	})
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "chi has no such route", http.StatusNotFound)
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) })
	return r
}

// TestChiRouter: under a pattern of ours, a router of chi gives the same answers as under
// net/http.
func TestChiRouter(t *testing.T) {
	theirs := serveTheirs(t, newRouter())
	ours := serveOurs(t, func(g *publisher.Registry) { g.Handle("/", publisher.HTTP(newRouter())) })
	for _, r := range []string{
		request("GET /", ""), request("HEAD /", ""), request("GET /items/7", ""), request("GET /items/7/", ""), request("GET /items/x", ""),
		request("PUT /items/7", "short"), request("PUT /items/7", "longer than twenty octets"), request("DELETE /items/7", ""),
		request("GET /sub/a/b", ""), request("GET /files/a%20b/c", ""), request("GET /slow", ""),
		request("GET /large", "", "Accept-Encoding: gzip"), request("GET /none", ""),
	} {
		if got, want := ask(t, ours, r), ask(t, theirs, r); got != want {
			t.Errorf("%.60q answers\n%.600s\nnet/http answers\n%.600s", r, got, want)
		}
	}
}
