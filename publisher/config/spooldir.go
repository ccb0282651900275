package config

import (
	"net/url"
	"path/filepath"
	"strings"

	"zamqp/publisher/spool"
)

// spoolFile is the setting for a spool on disk.
const SpoolFile = "file"

// spoolDir is the directory of one connection's spool. Names that a file cannot
// have are escaped.
func (c *Connection) SpoolPath(name string) string {
	name = url.PathEscape(name)
	if strings.HasPrefix(name, ".") {
		name = "%2E" + name[1:]
	}
	return filepath.Join(c.SpoolDir, name)
}

// leftover reports whether a connection has messages to send from last time, for
// producers that may be gone.
func (c *Connection) leftover(name string) bool {
	return c.Spool == SpoolFile && spool.Exists(c.SpoolPath(name))
}
