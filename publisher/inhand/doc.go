// Package inhand keeps a file that says which messages are being handled, so that
// the next process knows what this one had in hand when it was killed.
//
// A slot is written before a handler starts, and given back when it has ended. The
// file is memory-mapped and never synced: what was written is there after a kill
// of the process, which is what matters; after a loss of power the slots may be
// old, or missing. See docs/decisions/0011-in-hand-file.md.
package inhand
