//go:build loopdebug

package httpdoor_test

const debugging = true
