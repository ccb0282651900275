package app

// LogWriter is what a test's Serve gets.
type LogWriter = logWriter
