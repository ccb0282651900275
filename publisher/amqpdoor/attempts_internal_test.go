package amqpdoor

import (
	"bytes"
	"testing"
)

// TestHashIsBounded: of a large body only both ends and the length are hashed, so that a
// failed message of a hundred megabytes does not hold the loop.
func TestHashIsBounded(t *testing.T) {
	a := newAttempts()
	key := []byte("key")
	of := func(body []byte) uint64 { return a.hashOf(nil, key, nil, nil, body) }
	large := bytes.Repeat([]byte{'x'}, 4<<20)
	was := of(large)
	for _, row := range []struct {
		name string
		at   int
		same bool
	}{
		{"the first octet", 0, false},
		{"the last of the beginning", hashEnd - 1, false},
		{"behind the beginning", hashEnd, true},
		{"in the middle", len(large) / 2, true},
		{"before the end", len(large) - hashEnd - 1, true},
		{"the first of the end", len(large) - hashEnd, false},
		{"the last octet", len(large) - 1, false},
	} {
		other := bytes.Clone(large)
		other[row.at] = 'y'
		if got := of(other) == was; got != row.same {
			t.Errorf("another octet, %s: the same hash: %v, want %v", row.name, got, row.same)
		}
	}
	if of(large[:len(large)-1]) == was {
		t.Error("a shorter body has the same hash")
	}
	small := large[:2*hashEnd]
	other := bytes.Clone(small)
	other[hashEnd] = 'y'
	if of(other) == of(small) {
		t.Error("a small body is not hashed whole")
	}
}
