// Package loop is the reactor: it moves bytes between sockets and anything that implements [Peer].
// It knows bytes and time, but no protocol.
//
// One thread runs one loop. All methods except [Loop.Post], [Loop.Stop], [Loop.Stats] and
// [Loop.Enter] belong to that thread: call them before Run, or inside Run in peers, timers, posted
// functions and tasks.
//
// # One turn
//
//  1. Poll. Once without waiting; only if nothing is ready and nothing is left over from the last
//     turn, wait for a socket, the next deadline or a Post.
//  2. Read. Every readable connection is read and fed, up to ReadTurnMax bytes each; a read that
//     filled less than its buffer is the last one. Listeners accept up to AcceptTurnMax. Pipes are
//     read like sockets. With [PollMax] events at most, this bounds the phase.
//  3. Timers whose time has come run, oldest first. Deadlines of peers make their connection dirty.
//  4. Posted functions run, up to PostTurnMax.
//  5. Options.Tasks runs tasks that are ready.
//  6. Dirty connections: held input is offered again to woken peers, then each peer gets one Tick
//     and one write of its Pending. What is longer than 16 KiB is written in portions of
//     WriteConnMax, the connections in turn, and of all of them up to WriteTurnMax. The write goes
//     first; writability is asked for only when it did not finish. Of more than FlushTurnMax dirty
//     connections, the later ones wait in a line, of which each turn takes some.
//  7. Close the doomed: descriptors are closed and Lost is called. Nothing is freed inside its own
//     callback.
//  8. Options.Tasks once more, for tasks that phases 6 and 7 made ready. What they say leaves in
//     the next turn, which then does not wait.
//
// So an answer only appends to its peer's Pending and calls Wake. All acks, publishes and
// responses of a turn are sent in one write for each connection.
//
// # Rules that a Peer can rely on
//
//  1. Feed may take a prefix only, because a frame is incomplete or because the peer does not want
//     more now. The rest is kept and offered again, with what arrived meanwhile, when bytes arrive
//     or when the peer was woken. A peer must be able to take something of InputMax bytes: at that
//     length its socket is not read any more.
//  2. After an error from Feed nothing more is fed. Pending is flushed, then the connection is
//     closed.
//  3. Tick is called once when the connection opens, before the first Feed; in each turn in which
//     the peer was fed or woken, before its flush; and when the time that it returned last has
//     come. A deadline may move later for free.
//  4. Pending is called after Tick, and again in later turns until it is empty. What it returned
//     and Sent did not name must stay a prefix of what it returns next.
//  5. [Conn.Wake] makes dirty for this turn, or for the next if the flush has passed. [Conn.Close]
//     flushes and closes in order, [Conn.Abort] closes at once. None of them calls the peer: Lost
//     is called in phase 7, once, last.
//  6. When the other side ends its sending, EOF is told at once to a [HalfCloser], even while input
//     is kept: held input is still offered on Wake, so a peer that refused some takes it before it
//     closes.
//  7. Lost is called when nothing more can be sent or received. After an orderly close the
//     descriptor lingers a while without its peer: the write side is shut, input is dropped, so
//     that the last answer is read instead of a reset.
//  8. Pending above HighWater pauses the reading of that peer, and the offering of held input,
//     until it is under half; not after [Conn.KeepReading].
//
// A panic in a peer's method closes that connection. A panic of a timer or of a posted
// function ends that one call. Either is reported to Options.OnPanic with its stack, and the
// loop goes on.
//
// # Build tag loopdebug
//
// With it, bytes lent to Feed are poisoned after its return, methods check that they are called on
// the loop's thread, and the unsent part of Pending is checked not to change between two calls.
package loop
