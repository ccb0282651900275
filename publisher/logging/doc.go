// Package logging writes the log of a server, which never waits for its reader, and
// quotes foreign text for logs and terminals.
package logging
