package publisher

import (
	"context"
	"fmt"
	"time"
)

// RouteTimeout is how long a call of the route may take, waits included, in place of
// server.call_timeout. It may be longer or shorter. After that time the waits of the call and
// its Context end; if the handler then returns the error, the answer is 503. It does not end
// a commit or a stream; see [StreamTimeout].
func RouteTimeout(d time.Duration) RouteOption {
	return func(r *Route) { r.timeout = max(0, d) }
}

// limit returns how long the call may take, and the name of the setting; 0 is
// server.call_timeout.
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
