//go:build !loopdebug

package publisher

// poison is true in builds with the tag loopdebug. There a request is used for one call only,
// and its bytes are overwritten when the call is over. So code that keeps one of its slices
// is found out.
const poison = false

func (r *Request) poison() {}
