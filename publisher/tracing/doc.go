// Package tracing makes OpenTelemetry spans of the calls of a server, their publishes and their
// requests to other servers, and sends them by OTLP over HTTP. It is a [publisher.Tracer].
//
// The loop's thread only makes spans and puts them into a queue without waiting. Goroutines
// send them. When the queue is full, spans are dropped and counted.
package tracing
