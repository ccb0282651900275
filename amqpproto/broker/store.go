package broker

// serverStore is the part of a Server that puts durable things into a journal.
// Its zero value stores nothing, and then nothing is ever waited for.
type serverStore struct{}

// Only durable things are written: storing and forgetting anything else does
// nothing, so callers need not look.

// storeExchange is called when an exchange was declared, forgetExchange when it
// is deleted. Its bindings need not be forgotten one by one.
func (s *Server) storeExchange(x *exchange)  {}
func (s *Server) forgetExchange(x *exchange) {}

// storeQueue and forgetQueue are the same for queues. The messages of a
// forgotten queue are forgotten with it, by one record.
func (s *Server) storeQueue(q *queue)  {}
func (s *Server) forgetQueue(q *queue) {}

// storeBinding and forgetBinding are called for every binding: it is durable if
// both its ends are.
func (s *Server) storeBinding(b *binding)  {}
func (s *Server) forgetBinding(b *binding) {}

// storeMessage is called once for each publish, after routing and before push. A
// persistent message is written once, with those of the queues that are durable.
func (s *Server) storeMessage(m *message, queues []*queue) {}

// forgetEntry is called when an entry has left a durable queue for good: ack, get
// without ack, expiry, drop, purge, and dead-lettering after the dead letter is
// stored.
func (s *Server) forgetEntry(q *queue, m *message) {}

// stored is the number of the last record. What was stored before is on disk
// when synced has reached it: confirms and tx.commit-ok wait for that. Server.
// onSynced is called each time it moves.
func (s *Server) stored() uint64 { return 0 }
func (s *Server) synced() uint64 { return 0 }
