// Package websocket speaks the WebSocket protocol (RFC 6455), as a machine: it has no socket, no
// clock, no goroutine and no lock. Feed gives it bytes, Tick the time, and Pending returns what
// is to be sent. It begins where the HTTP answer 101 ends.
//
// A Server holds what its connections share: the pool of buffers, the clock, the counters. A Conn
// is one connection. It collects the frames of each message, checks them, and keeps a few whole
// messages until Next takes them. While nobody takes them, it reads no further message. It
// answers pings, sends pings to a peer that is silent, and does the closing handshake.
//
// Extensions are refused: a frame with a reserved bit is an error. So there is no
// compression of messages (permessage-deflate).
//
// For tests, a Conn can also be the client's end.
package websocket
