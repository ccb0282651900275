package broker

// RaceDetector tells the tests outside of the package.
const RaceDetector = raceDetector

// SliceUnits sets how much is done in one turn.
func (s *Server) SliceUnits(n int) { s.slice.size = n }
