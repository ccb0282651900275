package report

// Compute takes a processor for some 50 ms; its work is always the same.
func Compute() uint64 {
	x := uint64(1)
	for range uint64(40_000_000) {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}
