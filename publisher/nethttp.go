package publisher

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
)

// HTTP mounts a net/http handler or router, unchanged, as a [Handler]. It runs
// on the loop's thread like any other: what blocks in it holds up the server.
// Its response is collected and sent after the commit. A message can be sent
// through it, too: its method is AMQP, and a status of 400 or more is its failure
// as by [Errorf], since h has no other word for one.
//
// The handler finds the call by [FromContext], to publish in its transaction.
func HTTP(h http.Handler) Handler {
	return func(r *Request) error {
		req, err := r.HTTPRequest()
		if err != nil {
			return Errorf(http.StatusBadRequest, "the request target is malformed")
		}
		w := &responseWriter{header: http.Header{}}
		h.ServeHTTP(w, req)
		return w.reply(r)
	}
}

// HTTPRequest is the request as net/http has it, a copy but for the body, which
// dies with the call.
func (r *Request) HTTPRequest() (*http.Request, error) {
	r.makePath()
	u, err := url.ParseRequestURI(string(r.target))
	if err != nil {
		return nil, err
	}
	header := r.Headers()
	header.Del("Host")
	req := &http.Request{
		Method: r.Method(), URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(r.body)), ContentLength: int64(len(r.body)),
		Host: r.Host(), RemoteAddr: r.RemoteAddr(), RequestURI: string(r.target), Pattern: r.Pattern(),
	}
	if r.route != nil {
		for _, name := range r.route.names {
			req.SetPathValue(name, r.PathValue(name))
		}
	}
	return req.WithContext(withRequest(r.Context(), r)), nil
}

// responseWriter collects a response.
type responseWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // informational ones are not sent
		w.status = status
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// reply makes the collected response the call's answer. As with net/http, a
// missing content type is guessed from the body.
func (w *responseWriter) reply(r *Request) error {
	w.WriteHeader(http.StatusOK)
	if r.origin == OriginMessage && w.status >= http.StatusBadRequest {
		return &StatusError{Status: w.status, Text: w.body.String()}
	}
	contentType := w.header.Get("Content-Type")
	if _, given := w.header["Content-Type"]; !given && w.body.Len() > 0 {
		contentType = http.DetectContentType(w.body.Bytes())
	}
	for name, values := range w.header {
		if reservedField(name) {
			continue
		}
		for _, value := range values {
			r.SetHeader(name, value)
		}
	}
	return r.Bytes(w.status, contentType, w.body.Bytes())
}
