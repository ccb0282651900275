// Package dedupe remembers the ids of messages that have been handled, in a journal on disk,
// so that a second copy of a message is not handled again.
//
// An id is remembered as the first half of its SHA-256, which is 16 octets: a long id costs no
// more than a short one, and nobody can make two ids collide. Ids are kept for a limited time,
// and up to a limited number. The oldest are forgotten first, and then their files are removed.
// All ids are also in memory: about 80 octets each. On disk each takes 37.
package dedupe
