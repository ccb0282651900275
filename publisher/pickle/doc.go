// Package pickle reads and writes Python's pickles that hold plain data. It never looks up or
// calls anything by the names that a pickle has.
//
// A pickle is a program for a machine with a stack and a memo. machine.go runs it and makes
// nodes, opcode.go has the table of its opcodes, and class.go the names that are allowed.
// value.go turns nodes into values of Go.
package pickle
