// Package httpdoor makes calls of the publisher from the requests that the HTTP/1.1
// machine reads, and turns the outcome of each call into the answer.
package httpdoor
