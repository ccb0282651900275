// Package racing tells a test whether the race detector is on: it makes code
// several times slower and allocates memory of its own, so a few tests do less
// under it, or nothing.
package racing
