// Package websocket is WebSocket (RFC 6455) as a machine: it has no socket, no clock, no
// goroutine and no lock. Bytes come in by Feed, time by Tick, and what is to be sent is
// taken from Pending. It begins where the HTTP answer 101 ends.
//
// A Server holds what its connections share: the pool of buffers, the clock, the counters.
// A Conn is one connection. It collects the frames of each message, checks them, and keeps
// a few whole messages until Next takes them. While nobody takes them, no further message
// is read. It answers pings, sends pings of its own to a peer that is silent, and does the
// closing handshake.
//
// Extensions are refused: a frame with a reserved bit is an error. So there is no
// compression of messages (permessage-deflate).
//
// A Conn may be the client's end, too. That is for tests.
package websocket
