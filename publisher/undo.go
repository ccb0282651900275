package publisher

import "net/http"

// Commit makes the call commit although its answer has a status of 400 to 499, which would abort
// it. Its publishes are sent, for example as the record of a refusal. An answer of 500 or more
// still aborts.
func Commit(r *Request) {
	_ = r.do(func(r *Request) error { r.response.commit = true; return nil })
}

// undo aborts the transaction of a call whose answer says that the request was not done: 500
// and more, 400 and more without [Commit], and for a message every status that is not a
// success. The answer is still sent. For a message, which has no client, the source decides
// what follows; settlementOf has the table.
func (r *Request) undo() error {
	p := &r.response
	t := &r.tx
	if !p.set {
		return nil
	}
	failure := r.source.answered(r)
	if failure == nil && (p.Status < http.StatusBadRequest || p.Status < http.StatusInternalServerError && p.commit) {
		return nil
	}
	if p.err != nil { // the call fails with it, and the log says so
		return p.err
	}
	if t.err != nil {
		return t.err
	}
	if err := t.conflicted(); err != nil {
		return err
	}
	if n, events, joined, got := len(t.pubs), len(t.events), len(t.participants), len(t.gets); n+events+joined+got > 0 {
		r.server.stats.Undone++
		r.server.log.Info().Stringer("call", r).Int("status", p.Status).Int("publishes", n).Int("events", events).Int("participants", joined).Int("gets", got).
			Msg("the answer is a refusal, so the call was aborted: publisher.Commit keeps what a 4xx has published")
		r.abort()
	}
	return failure
}

// serverError returns the failure for an answer of 500 and more, in the form of [Errorf].
func (r *Request) serverError() error {
	p := &r.response
	if p.Status < http.StatusInternalServerError {
		return nil
	}
	return &StatusError{Status: p.Status, Text: errorText(p.Body)}
}
