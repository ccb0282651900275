// Package logging writes the log of a server without ever waiting for its reader,
// and quotes foreign text for logs and terminals.
package logging
