// Package app is the composition root: it joins handlers, doors and machines to one
// loop, as the plan of publisher/config says, and stops them in order.
package app
