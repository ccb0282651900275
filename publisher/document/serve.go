package document

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"zamqp/publisher"
)

// Serve makes both documents, and adds the routes that serve them to the registry. The error says
// what has no schema, or that a handler package has a route of that name.
func Serve(from Source) error {
	openAPI, asyncAPI, err := both(from)
	if err != nil {
		return err
	}
	from.Registry.Handle("GET "+OpenAPIPath, newServed(openAPI).answer)
	from.Registry.Handle("GET "+AsyncAPIPath, newServed(asyncAPI).answer)
	return nil
}

// Routes returns the routes that [Serve] would add, without handlers, or its error.
func Routes(from Source) (routes []*publisher.Route, err error) {
	_, _, err = both(from)
	for _, path := range []string{AsyncAPIPath, OpenAPIPath} {
		routes = append(routes, &publisher.Route{Pattern: "GET " + path, Method: "GET", Place: "http.documents"})
	}
	return routes, err
}

func both(from Source) (openAPI, asyncAPI []byte, err error) {
	for _, route := range from.Registry.Routes() {
		if isDocument(route) {
			err = errors.Join(err, fmt.Errorf("%s registers %s already: remove that route, or turn http.documents off", route.Place, route.Pattern))
		}
	}
	openAPI, failed := OpenAPI(from)
	asyncAPI, also := AsyncAPI(from)
	return openAPI, asyncAPI, errors.Join(err, failed, also)
}

// A served document does not change while the program runs.
type served struct {
	body []byte
	etag string
}

func newServed(body []byte) *served {
	sum := sha256.Sum256(body)
	return &served{body, fmt.Sprintf(`"%x"`, sum[:16])}
}

func (s *served) answer(r *publisher.Request) error {
	r.SetHeader("ETag", s.etag)
	r.SetHeader("Cache-Control", "no-cache") // it is asked for again, and is mostly the same
	if known := r.Header("If-None-Match"); known == "*" || strings.Contains(known, s.etag) {
		return r.Bytes(304, "", nil)
	}
	return r.Bytes(200, "application/json", s.body)
}
