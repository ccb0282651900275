package publisher

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// pickleDigits is the longest number in decimal that is read, in digits: to read
// one takes time by the square of its length. It is Python's own limit.
const pickleDigits = 4300

var errPickleCut = errors.New("the pickle is cut short")

// checkPickle walks over the opcodes of a pickle before it is decoded. It passes
// those of plain data, by which no class is built and nothing outside is asked
// for, each with the whole of its argument, and one STOP, at the end.
func checkPickle(b []byte) error {
	for at := 0; at < len(b); {
		op := b[at]
		at++
		width, known := pickleOpcodes[op]
		if !known {
			return fmt.Errorf("opcode %q at %d is not one of plain data, in protocols 0 to 4", op, at-1)
		}
		size := width
		switch width {
		case pickleLine, pickleTwoLines:
			size = 0
			for range -width {
				end := bytes.IndexByte(b[at+size:], '\n')
				if end < 0 {
					return errPickleCut
				}
				if (op == 'I' || op == 'L') && end > pickleDigits {
					return fmt.Errorf("a number has more than %d digits", pickleDigits)
				}
				size += end + 1
			}
		case pickleCount1, pickleCount4:
			octets := -width - 100
			if len(b)-at < octets {
				return errPickleCut
			}
			var wide [4]byte
			copy(wide[:], b[at:at+octets])
			size = octets + int(binary.LittleEndian.Uint32(wide[:]))
		}
		if size > len(b)-at {
			return errPickleCut
		}
		at += size
		if op == '.' {
			if at < len(b) {
				return fmt.Errorf("%d octets follow the pickle", len(b)-at)
			}
			return nil
		}
	}
	return errPickleCut
}

// Widths of arguments that are not a number of octets.
const (
	pickleLine     = -1   // up to a newline
	pickleTwoLines = -2   // the same, twice
	pickleCount1   = -101 // a count of 1 octet, and as many octets
	pickleCount4   = -104 // a count of 4 octets, and as many
)

// pickleOpcodes are the opcodes that are passed, with the width of their
// arguments. GLOBAL and REDUCE are there for bytes, which protocols 0 to 2 write
// as a call, and for sets: the decoder makes data of them and calls nothing.
var pickleOpcodes = map[byte]int{
	'(': 0, '.': 0, '0': 0, '1': 0, '2': 0, // MARK STOP POP POP_MARK DUP
	'F': pickleLine, 'I': pickleLine, 'L': pickleLine, 'S': pickleLine, 'V': pickleLine, // numbers and strings as text
	'J': 4, 'K': 1, 'M': 2, 'G': 8, 0x8a: pickleCount1, // BININT BININT1 BININT2 BINFLOAT LONG1
	'N': 0, 0x88: 0, 0x89: 0, // NONE NEWTRUE NEWFALSE
	'T': pickleCount4, 'U': pickleCount1, 'X': pickleCount4, 0x8c: pickleCount1, // strings
	'B': pickleCount4, 'C': pickleCount1, // bytes
	'a': 0, 'e': 0, 'l': 0, ']': 0, 't': 0, ')': 0, 0x85: 0, 0x86: 0, 0x87: 0, // lists and tuples
	'd': 0, '}': 0, 's': 0, 'u': 0, // dicts
	'g': pickleLine, 'h': 1, 'j': 4, 'p': pickleLine, 'q': 1, 'r': 4, 0x94: 0, // the memo
	'c': pickleTwoLines, 'R': 0, 0x93: 0, // GLOBAL REDUCE STACK_GLOBAL
	0x80: 1, 0x95: 8, // PROTO FRAME
}
