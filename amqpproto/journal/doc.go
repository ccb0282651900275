// Package journal is an append-only log of records in files. A record that it has
// reported as on disk is there after a kill -9 and after a power loss, and it never
// gives back anything that was not appended.
//
// A directory holds segments, named by the sequence number of their first
// record. Records are numbered from 1, without gaps. A record goes this way:
//
//	Append       copied into the batch being gathered; the caller's thread
//	Flush        the batch is handed to the writer, if the last one is on disk
//	write, sync  one write and one fdatasync for the whole batch; another thread
//	OnSynced     the caller's thread is told the last number that is on disk
//
// While one batch is being synced the next is gathered (group commit). So the more is
// appended, the fewer syncs a record costs. There is never more than one batch under
// way, and a batch is only written when the one before it is on disk. Recovery relies
// on this order: only the last batch can be torn.
//
// # Threads
//
// A Journal belongs to one thread, that of its owner. All methods are called there, and
// all callbacks run there. Only the writer runs elsewhere, by [Options.Offload].
//
// # Garbage
//
// Segments are removed oldest first. The owner knows which records it still needs. When
// the oldest segment is mostly garbage, the owner appends what it needs from there once
// more and calls [Journal.Release]. Release removes segments, but only when everything
// appended until then is on disk. So a record that undoes another one always outlives
// it, and recovery needs nothing but the order of records.
//
// # Failures
//
// Most failures pass: a full disk, no descriptors, a disk that does not answer. The
// batch that failed is kept and tried again with growing pauses. [Options.OnTrouble]
// tells the owner, which should append only what frees room until it is told that all is
// well. After a failed fdatasync a second one may succeed though the data is lost. So
// after a failed sync the records are written again, to a segment that begins with
// them. A segment counts up to where the next one begins.
//
// With [Options.Reserve] there is a file whose room is allocated beforehand. On a full
// disk it becomes the next segment, so that records that free room can be written.
//
// A failure is final if it says that the files are not ours any more. The journal calls
// [Options.OnError] once, stores nothing more, and never reports a record of that batch
// or after it as synced.
//
// Open cuts an unfinished last batch off at its first broken record; it was never
// reported as on disk. Damage anywhere else is reported, and all whole records after it
// are kept. See [Report].
package journal
