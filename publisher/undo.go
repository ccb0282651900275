package publisher

import "net/http"

// Commit says that the call commits although its answer has a status of 400 to
// 499, which would abort it: what it has published leaves, as the record of a
// refusal. An answer of 500 and more aborts all the same.
func Commit(r *Request) {
	_ = r.do(func(r *Request) error { r.response.commit = true; return nil })
}

// undo aborts the transaction of a call whose answer says that what was asked for
// was not done: 500 and more, and 400 and more without [Commit]. The answer itself
// is still given. For a message 500 and more is a failure, as by [Errorf]: it is tried
// again; with 400 and more it is done, since the handler has answered it.
func (r *Request) undo() error {
	p := &r.response
	t := &r.tx
	if !p.set || p.Status < http.StatusBadRequest || p.Status < http.StatusInternalServerError && p.commit {
		return nil
	}
	if p.err != nil { // the call fails for it, and says so
		return p.err
	}
	if t.err != nil {
		return t.err
	}
	if n, joined, got := len(t.pubs), len(t.participants), len(t.gets); n+joined+got > 0 {
		r.server.stats.Undone++
		r.server.log.Info().Stringer("call", r).Int("status", p.Status).Int("publishes", n).Int("participants", joined).Int("gets", got).
			Msg("the answer is a refusal, so the call was aborted: publisher.Commit keeps what a 4xx has published")
		r.abort()
	}
	if !r.source.hasClient() && p.Status >= http.StatusInternalServerError {
		return &StatusError{Status: p.Status, Text: string(p.Body)}
	}
	return nil
}
