package endpoint

// Sooner lowers *next to at. For both, 0 is never.
func Sooner(next *int64, at int64) {
	if at != 0 && (*next == 0 || at < *next) {
		*next = at
	}
}
