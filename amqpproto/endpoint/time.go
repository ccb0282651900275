package endpoint

// Sooner lowers *next to at if at is earlier. For both, 0 means never.
func Sooner(next *int64, at int64) {
	if at != 0 && (*next == 0 || at < *next) {
		*next = at
	}
}
