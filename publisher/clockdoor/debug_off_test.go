//go:build !loopdebug

package clockdoor_test

// debugging is true in builds with the tag loopdebug. There requests are not reused, so each
// call allocates one.
const debugging = false
