//go:build !loopdebug

package websocket_test

const debugging = false
