//go:build !loopdebug

package clockdoor_test

// debugging is the build in which requests are not used again, so that each
// call allocates one.
const debugging = false
