package publishertest_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// TestFilesBehindMiddleware: the middleware sees and changes the head, and does not see the
// octets.
func TestFilesBehindMiddleware(t *testing.T) {
	long := strings.Repeat("0123456789", 50_000)
	m := fstest.MapFS{"long.css": {Data: []byte(long)}, "a.txt": {Data: []byte("text")}}
	g := publisher.NewRegistry()
	g.Handle("GET /f/{path...}", publisher.Files(m))
	g.UseHTTP(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Seen", "yes")
			next.ServeHTTP(w, r)
		})
	})
	s := publishertest.New(t, g)
	for _, row := range []struct {
		method, target, ranges string
		status                 int
		body                   string
	}{
		{"GET", "/f/long.css", "", 200, long},
		{"GET", "/f/long.css", "bytes=100000-299999", 206, long[100_000:300_000]},
		{"GET", "/f/a.txt", "", 200, "text"},
		{"HEAD", "/f/long.css", "", 200, ""},
		{"GET", "/f/none", "", 404, "404 page not found\n"},
	} {
		got := s.Request(row.method, row.target, "", "", "Range: "+row.ranges)
		if got.Status != row.status || got.Body != row.body || got.Header.Get("X-Seen") != "yes" || got.Err != nil {
			t.Errorf("%s %s %s: %d, %d octets, %v, %v", row.method, row.target, row.ranges, got.Status, len(got.Body), got.Header, got.Err)
		}
	}
}
