// Package spool keeps messages on disk for a broker that is away. It gives them back in
// order, until it is told that they have left.
//
// A directory has two journals. The journal "queue" has the messages that wait to be sent.
// They are reported as stored when they are on disk, many at a time. The journal "aside" has
// the messages that the broker did not take, with the broker's reason, until somebody drops
// them or sends them again.
//
// Messages are numbered from 1, without gaps. The spool records the number of the first
// message that has not left, but not each time that it changes. So after a kill -9 the last
// few messages are given back once more, with the same message_id as before.
//
// A [Spool] belongs to one thread, as its journals do, and so do all callbacks.
package spool
