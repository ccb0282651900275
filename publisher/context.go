package publisher

import "context"

type requestKey struct{}

func withRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// FromContext is the call that a net/http handler mounted by [HTTP] or [Inline]
// runs in; nil outside of one.
//
// Under [HTTP] its methods may be called on any goroutine until the handler has
// returned, and give [ErrOver] after that. What they do is done on the loop, in
// the order of the calls. What they read of the request stays valid.
func FromContext(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}
