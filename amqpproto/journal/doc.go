// Package journal is an append-only log of records in files: what was appended
// and has been told to be on disk is there after a kill -9 and after a power
// loss, and nothing that it gives back was not appended.
//
// A directory holds segments, named by the sequence number of their first
// record. Records are numbered from 1, without gaps. A record goes this way:
//
//	Append       copied into the batch being gathered; the caller's thread
//	Flush        the batch is handed to the writer, if the last one is on disk
//	write, sync  one write and one fdatasync for the whole batch; another thread
//	OnSynced     the caller's thread is told the last number that is on disk
//
// While one batch is being synced the next gathers, so the more is appended the
// fewer syncs a record costs (group commit). There is never more than one batch
// on its way, and a batch is only written when the one before it is on disk.
// This order is what recovery relies on: a tear can only be in the last batch.
//
// # Threads
//
// A Journal belongs to one thread, that of its owner: all methods are called
// there, and all callbacks run there. Only the writer's step runs elsewhere, by
// [Options.Offload].
//
// # Garbage
//
// Segments are removed oldest first. Who uses a journal knows which records it
// still needs; when the oldest segment is mostly garbage, it appends what
// survives there once more and calls [Journal.Release], which removes segments,
// but not before all that was appended until then is on disk. So a record that
// undoes another one always outlives it, and order is all the bookkeeping that
// recovery needs.
//
// # Failures
//
// Most failures pass: a full disk, no descriptors, a disk that does not answer.
// The batch that has met one is kept and tried again with growing pauses, and
// [Options.OnTrouble] tells the owner, who should append only what gives room back
// until it is told that all is well. A second fdatasync after a failed one may say
// that all is well though the data is gone: so after a failed sync the records
// are written anew, to a segment that begins with them. A segment counts up to where
// the next one begins.
//
// With [Options.Reserve] there is a file whose room is taken beforehand. On a full
// disk it becomes the next segment, so that what gives room back can be written.
//
// A failure that says that the files are not ours any more is final. The journal
// tells [Options.OnError] once, refuses to store anything more, and never reports a
// record of that batch or after it as synced.
//
// At Open an unfinished last batch is cut off at its first broken record; it
// had been told to nobody. Damage anywhere else is reported, and whatever is
// whole after it is kept. See [Report].
package journal
