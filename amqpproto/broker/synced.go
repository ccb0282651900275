package broker

// onSynced is called each time synced has moved: what waited for it, confirms and
// tx.commit-ok, can be sent. It is also called when the store has failed; see
// storeErr.
func (s *Server) onSynced(seq uint64) {}
