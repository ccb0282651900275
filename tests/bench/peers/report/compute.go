package report

// Compute uses a processor for about 50 ms. The work is always the same.
func Compute() uint64 {
	x := uint64(1)
	for range uint64(40_000_000) {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}
