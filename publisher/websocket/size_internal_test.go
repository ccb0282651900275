package websocket

import (
	"testing"
	"unsafe"
)

// TestConnSize: an idle socket has a Conn and no buffer.
func TestConnSize(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 256 {
		t.Errorf("a Conn has %d octets", size)
	}
}
