// Package outbox keeps publishes in a table of the application's own database, so that a row
// of the application and the message about it are one SQL transaction. It has the tables, the
// statements in the dialects of the databases that it knows, and the [Dispatcher] that sends the
// rows and removes them.
//
// A row is sent at least once. Its message_id never changes, so a receiver recognises a copy.
//
// Of all processes, one at a time sends the rows of a connection: the one that has the lease, a row
// of another table with a time at which it ends. A process that was killed or frozen does not renew
// its lease, so another process goes on. The lease keeps copies rare. It does not have to prevent
// them: a row is removed only after the broker has confirmed it, whoever has sent it.
//
// Ids are not given out in the order of the commits: a transaction may commit rows with lower ids
// than rows that were sent long ago. So the dispatcher keeps no position. Each read begins at the
// lowest id; what was sent is removed, or known to be on its way and left out.
//
// Everything here may block. It runs on goroutines beside the loop.
package outbox
