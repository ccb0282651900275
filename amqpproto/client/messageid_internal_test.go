package client

import (
	"strconv"
	"testing"
)

func TestMessageIDs(t *testing.T) {
	m := newMessageIDs()
	for want := uint64(1); want < 11000; want++ {
		if got := m.next(); got != want {
			t.Fatal(got, want)
		}
		text := string(m.newest[:m.prefix]) + strconv.FormatUint(want, 10)
		if got := string(m.text(want)); got != text {
			t.Fatal(got, text)
		}
		if got := string(m.text(want / 2)); got != string(m.newest[:m.prefix])+strconv.FormatUint(want/2, 10) {
			t.Fatal(got, want)
		}
	}
}
