package publisher

import (
	"context"
	"fmt"
	"time"
)

// RouteTimeout is how long a call of the route may take, waits included, in place of
// server.call_timeout: it may be longer or shorter. When it is over, the waits of the
// call and its Context end, and a handler that returns the error has answered 503. It
// does not end a commit or a stream; see [StreamTimeout].
func RouteTimeout(d time.Duration) RouteOption {
	return func(r *Route) { r.timeout = max(0, d) }
}

// limit is how long the call may take, and who says so; 0 is server.call_timeout.
func (r *Request) limit() (d time.Duration, name string) {
	if r.route != nil {
		d, name = r.route.timeout, "publisher.RouteTimeout"
	}
	if k := r.consumer; k != nil && k.Timeout > 0 && (d == 0 || k.Timeout < d) {
		d = k.Timeout
		name = "consumer." + k.name + ".timeout"
	}
	return d, name
}

// startLimit starts the call's own limit. stop is nil if it has none.
func (r *Request) startLimit() (stop func() bool) {
	if r.route == nil && r.consumer == nil {
		return nil
	}
	d, name := r.limit()
	if d == 0 {
		return nil
	}
	r.limited = true
	return r.server.runtime.After(d, func() {
		if !r.response.begun {
			r.cancel(fmt.Errorf("%s (%s): %w", name, d, context.DeadlineExceeded))
		}
	})
}
