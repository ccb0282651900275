//go:build loopdebug

package clockdoor_test

const debugging = true
