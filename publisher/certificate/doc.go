// Package certificate keeps the certificates of a server's TLS listeners. It reads them from
// files, finds the one for the name that a client asks for, and reads the files again when
// they change.
package certificate
