// Package app is the composition root: it joins handlers, doors and machines to one
// loop by the plan of publisher/config, and stops them in order.
package app
