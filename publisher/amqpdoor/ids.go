package amqpdoor

import "zamqp/publisher/dedupe"

// ids are where a consumer keeps the ids of the messages that it has handled.
type ids interface {
	Has(k dedupe.Key) bool
	Add(k dedupe.Key, w dedupe.Waiter, epoch uint32, tag uint64)
	Await(w dedupe.Waiter, epoch uint32, tag uint64)
	Expire(most int) (more bool)
	Flush()
	Err() (err error, final bool)
}

// inDatabase stands for ids in a database: the call of a message has looked there, and has
// committed its id with its rows. So nothing is known here, and nothing waits for a disk.
type inDatabase struct{}

func (inDatabase) Has(dedupe.Key) bool                                         { return false }
func (inDatabase) Add(_ dedupe.Key, w dedupe.Waiter, epoch uint32, tag uint64) { w.Stored(epoch, tag) }
func (inDatabase) Await(w dedupe.Waiter, epoch uint32, tag uint64)             { w.Stored(epoch, tag) }
func (inDatabase) Expire(int) bool                                             { return false }
func (inDatabase) Flush()                                                      {}
func (inDatabase) Err() (error, bool)                                          { return nil, false }
