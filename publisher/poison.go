//go:build !loopdebug

package publisher

// poison is on in builds with the tag loopdebug: a request is then used for
// one call only, and its bytes are overwritten when that is over, so that who
// keeps one of its slices finds out.
const poison = false

func (r *Request) poison() {}
