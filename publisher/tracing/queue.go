package tracing

import (
	"context"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"zamqp/publisher"
)

// A queue holds spans until they are sent. Whoever ends a span never waits: what the queue has no
// room for is dropped and counted. OpenTelemetry's batch processor, which sends them on a
// goroutine, would drop them, too, but does not say so.
type queue struct {
	sdk.SpanProcessor // the batch processor
	exporter          sdk.SpanExporter
	log               zerolog.Logger
	most              int64
	held              atomic.Int64 // in the queue, or being sent
	sent, failed      atomic.Uint64
	dropped           atomic.Uint64

	mu      sync.Mutex
	trouble bool // the last batch was not sent
}

// queueMax is how many spans wait unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise.
const queueMax = sdk.DefaultMaxQueueSize

func newQueue(exporter sdk.SpanExporter, log zerolog.Logger) (*queue, error) {
	q := &queue{exporter: exporter, log: log}
	var err error
	if q.most, err = queueSize(); err != nil {
		return nil, err
	}
	q.SpanProcessor = sdk.NewBatchSpanProcessor(sending{q}, sdk.WithMaxQueueSize(int(q.most)))
	return q, nil
}

// queueSize is how many spans may wait.
func queueSize() (int64, error) {
	text := os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE")
	if text == "" {
		return queueMax, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1<<20 {
		return 0, wrong("OTEL_BSP_MAX_QUEUE_SIZE", text, "want a whole number of spans, from 1 to 1048576")
	}
	return int64(n), nil
}

// OnEnd puts a span into the queue.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.held.Add(1) > q.most {
		q.held.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// left is how many spans wait or are being sent.
func (q *queue) left() int64 { return q.held.Load() }

// sending is the exporter of the batch processor.
type sending struct{ q *queue }

// ExportSpans sends a batch. It logs when batches begin to fail, and when they arrive again, but
// not each of them.
func (s sending) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	q := s.q
	err := q.exporter.ExportSpans(ctx, spans)
	q.held.Add(-int64(len(spans)))
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err != nil:
		q.failed.Add(uint64(len(spans)))
		if !q.trouble {
			q.log.Warn().Err(err).Int("spans", len(spans)).Msg("spans could not be sent and are lost: is OTEL_EXPORTER_OTLP_ENDPOINT right? this is said again only after some were sent")
		}
	default:
		q.sent.Add(uint64(len(spans)))
		if q.trouble {
			q.log.Info().Uint64("lost", q.failed.Load()).Uint64("dropped", q.dropped.Load()).Msg("spans are sent again")
		}
	}
	q.trouble = err != nil
	return nil // or the SDK logs it, too
}

func (s sending) Shutdown(ctx context.Context) error { return s.q.exporter.Shutdown(ctx) }

func (q *queue) measure(dst []publisher.Metric) []publisher.Metric {
	return append(dst,
		publisher.Metric{Name: "tracing_spans_sent_total", Help: "Spans that the receiver has taken.", Value: float64(q.sent.Load())},
		publisher.Metric{Name: "tracing_spans_failed_total", Help: "Spans that were lost because they could not be sent.", Value: float64(q.failed.Load())},
		publisher.Metric{Name: "tracing_spans_dropped_total", Help: "Spans that were dropped because too many waited for the receiver.", Value: float64(q.dropped.Load())},
		publisher.Metric{Name: "tracing_spans_waiting", Help: "Spans that wait or are being sent.", Value: float64(q.held.Load())})
}
