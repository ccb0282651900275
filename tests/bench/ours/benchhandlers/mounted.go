package benchhandlers

import (
	"io"
	"net/http"
	"runtime"

	"zamqp/publisher"
)

// The handlers of the workload http-mounted: each answers as /hello does.
func init() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, helloText)
	})
	publisher.Handle("GET /mounted/http", publisher.HTTP(hello))
	publisher.Handle("GET /mounted/inline", publisher.Inline(hello))
	publisher.Handle("GET /mounted/middleware", answer)
	publisher.UseHTTP(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
	}, "/mounted/middleware")
	publisher.Handle("GET /mounted/use", answer)
	for range 3 {
		publisher.Use(func(next publisher.Handler) publisher.Handler {
			return func(r *publisher.Request) error { return next(r) }
		}, "/mounted/use")
	}
	publisher.Handle("GET /mounted/await", func(r *publisher.Request) error {
		err := r.Await(func(done func(error)) { go done(nil) })
		if err != nil {
			return err
		}
		return answer(r)
	})
	publisher.Handle("GET /mounted/offload", func(r *publisher.Request) error {
		if err := r.Offload(func() error { runtime.Gosched(); return nil }); err != nil {
			return err
		}
		return answer(r)
	})
	publisher.Handle("GET /mounted/go", func(r *publisher.Request) error {
		r.Go(func() error { return nil })
		r.Go(func() error { return nil })
		if err := r.Wait(); err != nil {
			return err
		}
		return answer(r)
	})
}

const helloText = "Hello, World!"

func answer(r *publisher.Request) error { return r.Text(200, helloText) }
