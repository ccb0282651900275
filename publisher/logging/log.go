package logging

import (
	"bytes"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// logTime is RFC 3339 with milliseconds, since a request takes less than a second.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// newLogger makes a logger on w.
func newLogger(l config.Log, w io.Writer) zerolog.Logger { return loggerOn(l, formatOf(l, w)) }

// formatOf returns an output that takes lines of JSON. "auto" writes lines for people on a
// terminal, and JSON otherwise.
func formatOf(l config.Log, w io.Writer) io.Writer {
	// In zerolog these are global, and every logger of the process is ours. A duration is
	// written with its unit.
	zerolog.TimeFieldFormat = logTime
	zerolog.DurationFieldFormat = zerolog.DurationFormatString
	w = Bare(w) // the console's own colours must not be quoted
	if l.Format == "console" || l.Format == "auto" && IsTerminal(w) {
		return zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !IsTerminal(w)}
	}
	return Quoting{w}
}

func loggerOn(l config.Log, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(l.Level)
	if err != nil {
		level = zerolog.InfoLevel // Load has checked the word
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// IsTerminal reports whether w is a terminal. It says so for every character device: the only
// other one that a log goes to is /dev/null.
func IsTerminal(w io.Writer) bool {
	switch inner := w.(type) {
	case *Writer:
		w = inner.to
	case *noticeBuffer:
		w = inner.to
	}
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Open makes the log of a server on to. Logging never waits for the reader. Libraries
// that log by the standard library write to it as well. end closes it: lines that wait
// are written as long as there is a reader.
func Open(l config.Log, to io.Writer) (logger zerolog.Logger, w *Writer, end func()) {
	notifyBrokenPipe()
	w = newWriter(to)
	format := formatOf(l, w)
	logger = loggerOn(l, format)
	if w.own = logger; l.RepeatMax > 0 {
		w.repeats = newRepeats(format, l.RepeatMax)
		w.own = loggerOn(l, w.repeats)
	}
	b := &noticeBuffer{to: to}
	noticer := newLogger(l, b)
	w.notice = func(dropped uint64, err error) []byte {
		b.Reset()
		noticer.Warn().Uint64("lines", dropped).AnErr("last_error", err).
			Msg("lines of this log are missing here: they came faster than they were read, or could be written")
		return b.Bytes()
	}
	std := log.Writer()
	if std == to { // on the loop's thread, too
		log.SetOutput(w)
	}
	return logger, w, func() {
		if std == to {
			log.SetOutput(to)
		}
		if w.repeats != nil {
			w.repeats.tell()
		}
		_ = w.Close()
	}
}

// Own is the log for the server's own lines, of which very many of one kind are left out. Lines
// of handlers are always written.
func (w *Writer) Own() zerolog.Logger { return w.own }

// noticeBuffer receives one line, in the format for to.
type noticeBuffer struct {
	bytes.Buffer
	to io.Writer
}

// notifyBrokenPipe makes a write fail if standard output has lost its reader. Without it
// SIGPIPE ends the process. The signal is not ignored, because the programs that handlers
// start would inherit that.
var notifyBrokenPipe = sync.OnceFunc(func() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) })

// Measure appends the log's numbers.
func (w *Writer) Measure(dst []publisher.Metric) []publisher.Metric {
	s, left := w.Stats(), uint64(0)
	if w.repeats != nil {
		left = w.repeats.leftOut()
	}
	return publisher.AppendMetrics(dst, nil,
		publisher.Metric{Name: "log_dropped_total", Help: "Lines of the log that were dropped, because they came faster than they were read or could be written.", Value: float64(s.Dropped)},
		publisher.Metric{Name: "log_failures_total", Help: "Writes of the log that failed; each is tried again.", Value: float64(s.Failures)},
		publisher.Metric{Name: "log_left_out_total", Help: "Lines that were left out because very many of their kind came in a minute: log.repeat_max. The log says how many of which.", Value: float64(left)},
		publisher.Metric{Name: "log_waiting_bytes", Help: "Octets of the log that wait to be written: at most 1 MiB, and 64 KiB of the newest.", Value: float64(s.Waiting)},
	)
}
