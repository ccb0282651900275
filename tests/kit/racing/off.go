//go:build !race

package racing

// Enabled reports whether this binary was built with -race.
const Enabled = false
