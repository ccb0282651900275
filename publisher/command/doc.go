// Package command is the command line: one file for each command, and the files
// that they share. session.go is a command's conversation with a broker, message.go
// prints a message, and propertyflags.go holds the flags that make one.
//
// This package does not start the server: publisher/app sets CLI.Serve and
// CLI.ServeBroker.
package command
