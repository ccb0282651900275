package http1

import (
	"testing"
	"unsafe"
)

// TestConnSize holds the promise that an idle connection is its Conn and
// nothing else, and that this is small: 144 octets on 64-bit machines, a size
// class of the allocator.
func TestConnSize(t *testing.T) {
	size := unsafe.Sizeof(Conn{})
	t.Logf("%d octets", size)
	if size > 144 {
		t.Errorf("Conn has %d octets, want at most 144", size)
	}
}
