package command

import "testing"

func TestNumbersThatFit(t *testing.T) {
	for text, want := range map[string]any{
		"1": int64(1), "-0": int64(0), "9223372036854775807": int64(9223372036854775807), "-9223372036854775808": int64(-9223372036854775808),
		"1e3": 1000.0, "0.1": 0.1, "1.50": 1.5, "-2.5e-3": -0.0025, "0e999999999999": 0.0, "0.0": 0.0,
		"1e22": 1e22, "12345678901234567890": nil, "9223372036854775808": nil, "1e400": nil, "1e-400": nil, "0.1000000000000000000000001": nil,
	} {
		got, err := numberField(text)
		if (err != nil) != (want == nil) || err == nil && got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
