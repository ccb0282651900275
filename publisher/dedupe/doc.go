// Package dedupe remembers the ids of messages that have been handled, in a journal on disk,
// so that a second copy of a message is not handled again.
//
// An id is remembered as the first half of its SHA-256: 16 octets, so that foreign ids cost
// no more than that, and nobody can make two of them collide. Ids are kept for a time, and up
// to a number. The oldest are forgotten first, and with them their files. All ids that are
// kept are in memory, too: about 80 octets each. On disk each takes 37.
package dedupe
