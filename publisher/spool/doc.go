// Package spool keeps messages on disk for a broker that is away, and gives them
// back in order until they are told to have left.
//
// A directory has two journals. In "queue" are the messages that are to leave;
// what is added is told to be stored when it is on disk, many at a time. In
// "aside" are those that the broker would not have, with its reason, until
// somebody drops them or sends them again.
//
// Messages are numbered from 1, without gaps. What has left is remembered as the
// number of the first that has not, written now and then: so after a kill -9 the
// last few are given back once more. They have the same message_id as before.
//
// A [Spool] belongs to one thread, as its journals do, and so do all callbacks.
package spool
