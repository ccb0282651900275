// Package httpdoor turns what the HTTP/1.1 machine reads into calls of the
// publisher, and their outcomes back into answers. It is the mirror image of
// amqpdoor.
package httpdoor
