package config

import (
	"net/url"
	"path/filepath"
	"strings"

	"zamqp/publisher/spool"
)

// SpoolFile is the value of Connection.Spool for a spool on disk.
const SpoolFile = "file"

// SpoolPath returns the directory of the connection's spool. Characters that a file's name
// cannot have are escaped.
func (c *Connection) SpoolPath(name string) string {
	name = url.PathEscape(name)
	if strings.HasPrefix(name, ".") {
		name = "%2E" + name[1:]
	}
	return filepath.Join(c.SpoolDir, name)
}

// leftover reports whether the connection's spool has messages of an earlier process.
// Their producers may be gone.
func (c *Connection) leftover(name string) bool {
	return c.Spool == SpoolFile && spool.Exists(c.SpoolPath(name))
}
