package broker

// onSynced is called each time the store's synced has moved, and when the store
// has failed (see storeErr): confirms, tx.commit-ok and answers that waited can be
// sent.
func (s *Server) onSynced() {
	s.written()
	s.giveAnswers()
	waiting := s.syncing
	s.syncing = nil
	for i, ch := range waiting {
		waiting[i] = nil
		ch.syncs = false
		if ch.state != channelOpen {
			continue
		}
		ch.finishCommit()
		if ch.confirms.head < len(ch.confirms.runs) {
			ch.confirmSoon()
		}
	}
	if s.syncing == nil {
		s.syncing = waiting[:0]
	}
}
