// Package publisher is what a handler imports: it registers routes, producers
// and consumers, and runs each call, whichever wire it came in by, inside one
// transaction.
//
// An HTTP request and an AMQP message are both a [Request]. The package
// dispatches it to a [Handler] in a pooled coroutine on the loop's thread, so
// handlers are straight-line code and need no locks: nothing else runs while
// one runs, and what waits ([Request.Offload], [Request.Sleep],
// [Request.Await], the commit) lets the loop go on.
//
// What a handler does through its request takes effect when it returns nil:
//
//  1. the joined participants prepare, then commit,
//  2. the publishes leave in order and their confirms are awaited,
//  3. a message is acked; an HTTP answer is sent.
//
// When it returns an error, or panics, the publishes are forgotten, the
// participants abort, and the error becomes a status or the message's way to
// a retry or to the dead-letter queue. See [Permanent], [ErrConflict],
// [StatusError].
//
// All functions and methods are for the loop's thread, that is for init
// functions and handlers, unless their comment says otherwise.
package publisher
