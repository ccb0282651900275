//go:build !loopdebug

package loop_test

const debugging = false
