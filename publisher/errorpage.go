package publisher

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// An ErrorPage answers a request that has failed, in place of the text of the failure. The
// failure has the status and the text that the client would get; its Cause, which may be nil, is
// for the log only. r is the failed call: its transaction has been aborted.
//
// The page answers as a handler does, with [Request.Bytes] for example. A status of 200 to 299
// becomes that of the failure. The header fields of the failure are kept, such as Retry-After. If the page
// returns an error, panics, does not answer, or streams, the client gets the text; no other page is asked.
type ErrorPage func(r *Request, failure *StatusError) error

// Statuses of [OnStatus] that stand for all of their class that have no page of their own.
const (
	Status4xx = 4
	Status5xx = 5
)

// OnStatus registers the page for HTTP requests that fail with a status, 400 to 599, or with one of
// a class: [Status4xx], [Status5xx].
//
//	publisher.OnStatus(404, func(r *publisher.Request, failure *publisher.StatusError) error {
//		return r.Bytes(404, "text/html; charset=utf-8", notFound)
//	})
//
// A page is for the errors of handlers, for commits that fail, and for requests that have no route or
// whose method has none. It is not for what a handler has answered itself, nor for a client that asks for
// JSON, which gets a [Problem], nor for requests that are refused before they are calls: malformed
// ones, and those over a limit of the server. OnStatus panics on another status, on a nil page, and on a
// second page of a status.
func OnStatus(status int, page ErrorPage) { Default.onStatus(status, page, caller(2)) }

// OnStatus is the package's [OnStatus] for this registry.
func (g *Registry) OnStatus(status int, page ErrorPage) { g.onStatus(status, page, caller(2)) }

func (g *Registry) onStatus(status int, page ErrorPage, place string) {
	old := g.pages[status]
	switch {
	case page == nil:
		panic(fmt.Sprintf("publisher: OnStatus(%d) at %s: the page is nil", status, place))
	case status != Status4xx && status != Status5xx && (status < 400 || status > 599):
		panic(fmt.Sprintf("publisher: OnStatus(%d) at %s: a page is for a status of 400 to 599, or for Status4xx or Status5xx", status, place))
	case old != nil:
		panic(fmt.Sprintf("publisher: OnStatus(%d) at %s: already registered at %s", status, place, old.place))
	}
	if g.pages == nil {
		g.pages = map[int]*registered[ErrorPage]{}
	}
	g.pages[status] = &registered[ErrorPage]{value: page, place: place}
}

// makePages takes the pages of the registry.
func (s *Server) makePages(g *Registry) {
	for status, page := range g.pages {
		if s.pages == nil {
			s.pages = map[int]ErrorPage{}
		}
		s.pages[status] = page.value
	}
	s.unrouted = &Route{Handler: (*Request).refuseUnrouted}
}

// pageOf returns the page for a failure of the call, or nil.
func (r *Request) pageOf(status int, err error) ErrorPage {
	pages := r.server.pages
	if pages == nil || !r.source.hasClient() || errors.Is(err, ErrGone) {
		return nil
	}
	page := pages[status]
	if page == nil {
		page = pages[status/100]
	}
	if page == nil {
		return nil
	}
	var p *Problem
	if r.asksForJSON(errors.As(err, &p)) {
		return nil
	}
	return page
}

// answerFailureBy answers a failure by its page, if there is one, and otherwise as text or JSON. The
// response has the header fields that are kept. It runs in the call's task.
func (r *Request) answerFailureBy(err error, status int, text string) {
	page := r.pageOf(status, err)
	if page == nil {
		_ = r.answerError(err, status, text)
		return
	}
	r.abort() // inside of middleware, what the handler has published and written is still there
	p := &r.response
	kept := slices.Clone(p.lines)
	p.set, p.ContentType, p.Body = false, "", p.Body[:0]
	failed := r.join(guard(func() error { return page(r, &StatusError{Status: status, Text: text, Cause: err}) }))
	switch {
	case failed != nil:
	case !p.set:
		failed = errors.New("it has not answered")
	case p.stream != nil || p.begun:
		failed = errors.New("it has streamed its answer, or sent a large file: an error page is sent whole")
	default:
		if p.Status >= 200 && p.Status <= 299 {
			p.Status = status
		}
		failed = r.join(guard(r.end))
	}
	if failed == nil {
		r.tx.reset() // done: the end of the call commits nothing again
		return
	}
	if p.begun { // a mounted handler: its head cannot be taken back
		r.server.log.Error().Err(checkError(failed)).Stringer("call", r).Int("status", status).Msg("an error page has failed, and has begun to answer")
		return
	}
	r.abort()
	r.server.log.Error().Err(checkError(failed)).Stringer("call", r).Int("status", status).Msg("an error page has failed: the client gets the text")
	p.reset()
	p.lines = append(p.lines, kept...)
	_ = r.answerError(err, status, text)
}

// takesUnrouted makes a call of a request that has no route, if there is a page for its answer.
func (s *Server) takesUnrouted(r *Request, l lookup) bool {
	if s.pages == nil || l.to != "" || string(r.target) == "*" {
		return false
	}
	status := http.StatusNotFound
	if len(l.allowed) > 0 {
		status = http.StatusMethodNotAllowed
	}
	if r.pageOf(status, nil) == nil {
		return false
	}
	r.route, r.parts = s.unrouted, r.parts[:0]
	return true
}

// refuseUnrouted is the handler of a request that has no route.
func (r *Request) refuseUnrouted() error {
	s := r.server
	s.refuseUnrouted(r, s.lookUp(r, s.match(r)))
	if p := &r.response; p.Status >= http.StatusBadRequest && r.pageOf(p.Status, nil) != nil {
		r.answerFailureBy(nil, p.Status, strings.TrimSuffix(string(p.Body), "\n"))
	}
	return nil
}
