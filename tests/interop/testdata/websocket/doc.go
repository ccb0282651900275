// Package websocket has a test that is built with the tag outside, in a module that
// requires WebSocket libraries. TestWebSockets copies it there.
package websocket
