package command

import (
	"fmt"
	"strings"
	"testing"
)

func TestShape(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"a timeout":                         "a timeout",
		"order 4711 not found":              "order … not found",
		"order 1f0c-9a not found":           "order … not found",
		`no row for "Alice" in "customers"`: `no row for "…" in "…"`,
		"it's down":                         "it's down",
		"dial tcp 10.0.0.1:5432: refused":   "dial tcp …:…: refused",
		"id=17, state=new":                  "id=…, state=new",
	} {
		if got := shape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestCausesAreGrouped(t *testing.T) {
	var c causes
	for i := range 50_000 {
		c.add(&death{Queue: "q", Reason: "attempts", Handler: "h", Error: fmt.Sprint("order ", i, " not found\nand more")})
		if i < 50 {
			c.add(&death{Queue: "q", Reason: "attempts", Handler: "h", Error: strings.Repeat("x", i)})
		}
	}
	list, left, messages := c.most(20)
	if len(list) != 20 || left != 31 || messages != 31 || list[0].Count != 50_000 || list[0].Error != "order … not found" || list[0].Example != "order 0 not found" {
		t.Errorf("%d rows, %d and %d left: %+v", len(list), left, messages, list[0])
	}
	var b strings.Builder
	writeCauses(&b, list, left, messages)
	if out := b.String(); !strings.HasPrefix(out, "   50000  attempts in q, handler h: order … not found\n") || !strings.HasSuffix(out, "      31  in 31 more kinds that are not shown: --causes 0 shows all\n") {
		t.Errorf("%s", out)
	}
	if list, left, _ := c.most(0); len(list) != 51 || left != 0 {
		t.Errorf("%d rows, %d left", len(list), left)
	}
}
