package app

import (
	"io"
	"os"

	"github.com/rs/zerolog"
)

// logTime is RFC 3339 with milliseconds: a request takes less than a second.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// NewLogger makes the server's log on w: lines for people on a terminal, JSON
// for machines otherwise, or what the settings say.
func NewLogger(l Log, w io.Writer) zerolog.Logger {
	// zerolog keeps these in globals; every logger of the process is ours. A
	// duration as a number would leave its unit to be guessed.
	zerolog.TimeFieldFormat = logTime
	zerolog.DurationFieldFormat = zerolog.DurationFormatString
	if l.Format == "console" || l.Format == "auto" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !isTerminal(w)}
	}
	level, err := zerolog.ParseLevel(l.Level)
	if err != nil {
		level = zerolog.InfoLevel // Load lets only known words through
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// isTerminal takes every character device for a terminal. The only other one
// that a log goes to is /dev/null, where the format is nobody's concern.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
