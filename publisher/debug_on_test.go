//go:build loopdebug

package publisher_test

const debugging = true
