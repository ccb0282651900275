package app

import "testing"

func TestSameAddress(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true}, {":80", "127.0.0.1:80", true}, {"localhost:80", "127.0.0.1:80", true}, {"[::]:80", "10.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.2:80", false}, {":80", ":81", false}, {":0", ":0", false},
	} {
		if sameAddress(row.a, row.b) != row.same {
			t.Errorf("%s and %s", row.a, row.b)
		}
	}
}
