//go:build !loopdebug

// Package crashpoint marks the moments at which a test kills the server, in builds with the tag
// loopdebug. In all other builds it does nothing.
package crashpoint

// At is a moment.
func At(string) {}
