package publisher

import "context"

type requestKey struct{}

func withRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// FromContext returns the call in which a net/http handler mounted by [HTTP] or [Inline]
// runs, or nil outside of such a handler.
//
// Under [HTTP] the call's methods may be used on any goroutine until the handler has
// returned; then they return [ErrOver]. They work on the loop, in the order in which they
// are called. What they return of the request stays valid.
func FromContext(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}
