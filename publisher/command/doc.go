// Package command is the command line: one file for each command, and what they
// share. session.go is a command's conversation with a broker, message.go a message to
// be printed, propertyflags.go the flags that make one.
//
// The server is not started here: CLI.Serve and CLI.ServeBroker are given by
// publisher/app.
package command
