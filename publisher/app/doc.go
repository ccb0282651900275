// Package app is the composition root, which joins handlers, doors and machines to
// one loop by the plan of publisher/config, and the command line.
package app
