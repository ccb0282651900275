package broker

// onSynced is called when the store has more on disk, and when it has failed (see
// storeErr). It sends the confirms, tx.commit-ok and answers that waited for that.
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
