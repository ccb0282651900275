package wiretest

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand"
	"testing"
)

// Bounds of AllSplits. It tries every two-way split of inputs up to twoWayMax
// bytes, and every three-way split up to threeWayMax; of longer inputs a sample of
// that many cuts.
const (
	twoWayMax      = 2048
	threeWayMax    = 72
	threeWaySample = 1500
	byteWiseMax    = 1 << 16
)

// AllSplits runs run on input cut in every way that matters: whole, byte by byte,
// every two-way split and every three-way split. It fails unless the result is
// always the same. Long inputs get a sample of cuts that depends only on the input.
// Each chunk is an allocation of its own, which run may overwrite.
func AllSplits(t testing.TB, input []byte, run func(chunks [][]byte) string) {
	t.Helper()
	want := run(chop(input))
	check := func(cuts ...int) {
		if got := run(chop(input, cuts...)); got != want {
			t.Helper()
			shown := fmt.Sprint(cuts)
			if len(cuts) > 8 {
				shown = "after every byte"
			}
			t.Fatalf("wiretest: input of %d bytes cut at %s gives another result\nwhole: %s\n  cut: %s\ninput: %.300q",
				len(input), shown, want, got, input)
		}
	}
	n := len(input)
	if n < 2 {
		return
	}
	h := fnv.New64a()
	_, _ = h.Write(input)
	rng := rand.New(rand.NewSource(int64(h.Sum64())))
	if n <= byteWiseMax {
		every := make([]int, 0, n-1)
		for i := 1; i < n; i++ {
			every = append(every, i)
		}
		check(every...)
	}
	for i := 1; i < n; i++ {
		// Both ends matter most: headers are in front, trailers at the end.
		if n <= twoWayMax || i <= twoWayMax/4 || i >= n-twoWayMax/4 {
			check(i)
		}
	}
	if n > twoWayMax {
		for range twoWayMax / 2 {
			check(1 + rng.Intn(n-1))
		}
	}
	if n < 3 {
		return
	}
	if n <= threeWayMax {
		for i := 1; i < n-1; i++ {
			for j := i + 1; j < n; j++ {
				check(i, j)
			}
		}
		return
	}
	sample := threeWaySample
	if n > twoWayMax {
		sample /= 10
	}
	for range sample {
		i := 1 + rng.Intn(n-2)
		check(i, i+1+rng.Intn(n-1-i))
	}
}

// chop returns copies of the pieces of p between the cuts, which are in ascending
// order.
func chop(p []byte, cuts ...int) [][]byte {
	chunks := make([][]byte, 0, len(cuts)+1)
	from := 0
	for _, c := range cuts {
		chunks = append(chunks, bytes.Clone(p[from:c]))
		from = c
	}
	return append(chunks, bytes.Clone(p[from:]))
}

// FeedChunks gives chunks to feed as the loop would: what feed does not take is
// kept and offered again in front of the next chunk, and the lent buffer is
// overwritten afterwards. It returns what was never taken, and the first error.
func FeedChunks(feed func(in []byte) (n int, err error), chunks [][]byte) (rest []byte, err error) {
	for _, c := range chunks {
		if len(c) == 0 {
			continue
		}
		rest = append(rest, c...)
		lent := bytes.Clone(rest)
		lent = lent[:len(lent):len(lent)]
		n, err := feed(lent)
		if n < 0 || n > len(lent) {
			return rest, fmt.Errorf("wiretest: feed took %d of %d bytes", n, len(lent))
		}
		for i := range lent {
			lent[i] = poison
		}
		rest = rest[n:]
		if err != nil {
			return rest, err
		}
	}
	return rest, nil
}

// FeedAll is FeedChunks for a decoder that takes one unit per call. It calls the
// decoder again as long as it takes something, as a machine does with its frames.
func FeedAll(feed func(in []byte) (n int, err error), chunks [][]byte) (rest []byte, err error) {
	return FeedChunks(func(in []byte) (int, error) {
		total := 0
		for total < len(in) {
			n, err := feed(in[total:])
			total += n
			if err != nil || n == 0 {
				return total, err
			}
		}
		return total, nil
	}, chunks)
}
