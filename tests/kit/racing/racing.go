// Package racing tells a test whether the race detector is on. The detector makes
// code several times slower and allocates memory of its own, so some tests do less
// under it, or nothing.
package racing
