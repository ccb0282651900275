// Package http1 is the server side of HTTP/1.1 (RFC 9110, RFC 9112) as a
// machine: it has no socket, no clock, no goroutine and no lock. Bytes come in
// by Feed, time by Tick, and what is to be sent is taken from Pending.
//
// A Server holds what its connections share: limits, the rendered Date, the
// pool of output buffers, and the scratch space a head is parsed into. A Conn
// is one connection. It tells its Handler what it has read, in this order:
//
//	Head  Body*  Trailer*  End    one request; then the next
//	Gone                          exactly once, when no more will come
//
// The Handler answers with Answer, or with Start, Write and Finish, at once or later. While a
// request is being answered, nothing of the next one is read. A Handler that wants to answer
// before the body has come, or to take no more of it than it has room for, calls Stream.
//
// The machine is strict. If two recipients could understand a request in two ways, it is
// refused with a 4xx or 5xx answer. After such an error nothing more of that connection is
// parsed, because nobody knows where the next request begins (RFC 9112 §11.2).
//
// CONNECT is answered with 501. The machine ignores Upgrade, as RFC 9110 §7.8 allows:
// the request is handled as the HTTP/1.1 request that it also is. A Handler may switch
// protocols: by Inform with 101, and Hijack.
package http1
