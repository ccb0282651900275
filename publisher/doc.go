// Package publisher is what a handler imports: it registers routes, producers
// and consumers, and runs each call, by HTTP or AMQP, inside one transaction.
//
// An HTTP request and an AMQP message are both a [Request]. The package
// dispatches it to a [Handler] in a pooled coroutine on the loop's thread, so
// handlers are straight-line code and need no locks: nothing else runs while one runs. The
// methods that wait ([Request.Offload], [Request.Sleep], [Request.Await]) and the commit let
// the loop go on.
//
// What a handler does through its request takes effect when it returns nil:
//
//  1. the joined participants prepare, then commit,
//  2. the publishes are sent in order, and their confirms are awaited,
//  3. a message is acked; an HTTP answer is sent.
//
// When it returns an error, or panics, the publishes are dropped and the participants abort.
// The error becomes an HTTP status, or decides whether the message is tried again or goes to
// the dead-letter queue. See [Permanent], [ErrConflict],
// [StatusError].
//
// All functions and methods are for the loop's thread, that is for init
// functions and handlers, unless their comment says otherwise.
package publisher
