package pickle

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// opcodes are the opcodes for plain data, in protocols 0 to 5. Opcodes that refer to
// something outside of the pickle (persistent ids, extensions, buffers) are left out, and so
// are instances of old classes.
var opcodes = [256]func(m *machine) error{
	// The stack: MARK STOP POP POP_MARK DUP.
	'(': (*machine).mark,
	'.': func(m *machine) error { m.done = true; return nil },
	'0': popOne,
	'1': func(m *machine) error { _, err := m.popMark(); return err },
	'2': func(m *machine) error { return m.pushed(m.top()) },

	// Numbers: FLOAT INT LONG BININT BININT1 BININT2 BINFLOAT LONG1 LONG4, and NONE NEWTRUE NEWFALSE.
	'F':  (*machine).float,
	'I':  (*machine).integer,
	'L':  (*machine).decimal,
	'J':  func(m *machine) error { n, err := m.number(4); return m.pushed(int64(int32(n)), err) },
	'K':  func(m *machine) error { n, err := m.number(1); return m.pushed(int64(n), err) },
	'M':  func(m *machine) error { n, err := m.number(2); return m.pushed(int64(n), err) },
	'G':  (*machine).binaryFloat,
	0x8a: func(m *machine) error { return m.long(1) },
	0x8b: func(m *machine) error { return m.long(4) },
	'N':  func(m *machine) error { return m.push(nil) },
	0x88: func(m *machine) error { return m.push(true) },
	0x89: func(m *machine) error { return m.push(false) },

	// Text: STRING UNICODE BINSTRING SHORT_BINSTRING BINUNICODE SHORT_BINUNICODE BINUNICODE8.
	'S':  quotedLine,
	'V':  escapedLine,
	'T':  func(m *machine) error { b, err := m.counted(4); return m.pushed(pyStr(b), err) },
	'U':  func(m *machine) error { b, err := m.counted(1); return m.pushed(pyStr(b), err) },
	'X':  func(m *machine) error { b, err := m.counted(4); return m.pushed(string(b), err) },
	0x8c: func(m *machine) error { b, err := m.counted(1); return m.pushed(string(b), err) },
	0x8d: func(m *machine) error { b, err := m.counted(8); return m.pushed(string(b), err) },

	// Octets: BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8.
	'B':  func(m *machine) error { b, err := m.counted(4); return m.pushed(copyOctets(b), err) },
	'C':  func(m *machine) error { b, err := m.counted(1); return m.pushed(copyOctets(b), err) },
	0x8e: func(m *machine) error { b, err := m.counted(8); return m.pushed(copyOctets(b), err) },
	0x96: func(m *machine) error { b, err := m.counted(8); return m.pushed(copyOctets(b), err) },

	// Tuples: EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3.
	')':  func(m *machine) error { return m.popTuple(0) },
	't':  func(m *machine) error { items, err := m.popMark(); return m.pushed(&pyTuple{items}, err) },
	0x85: func(m *machine) error { return m.popTuple(1) },
	0x86: func(m *machine) error { return m.popTuple(2) },
	0x87: func(m *machine) error { return m.popTuple(3) },

	// Lists: EMPTY_LIST LIST APPEND APPENDS.
	']': func(m *machine) error { return m.push(&pyList{}) },
	'l': func(m *machine) error { items, err := m.popMark(); return m.pushed(&pyList{items}, err) },
	'a': func(m *machine) error { return m.addLast(1) },
	'e': func(m *machine) error { return m.addMarked(false) },

	// Dicts: EMPTY_DICT DICT SETITEM SETITEMS.
	'}': func(m *machine) error { return m.push(&pyDict{}) },
	'd': markedDict,
	's': func(m *machine) error { return m.addLast(2) },
	'u': func(m *machine) error { return m.addMarked(true) },

	// Sets: EMPTY_SET ADDITEMS FROZENSET.
	0x8f: func(m *machine) error { return m.push(&pySet{}) },
	0x90: (*machine).addToSet,
	0x91: func(m *machine) error { items, err := m.popMark(); return m.pushed(&pySet{items}, err) },

	// The memo: PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET.
	'p':  func(m *machine) error { return m.memoLine(m.put) },
	'q':  func(m *machine) error { return m.memoKey(1, m.put) },
	'r':  func(m *machine) error { return m.memoKey(4, m.put) },
	0x94: func(m *machine) error { return m.put(len(m.memo)) },
	'g':  func(m *machine) error { return m.memoLine(m.get) },
	'h':  func(m *machine) error { return m.memoKey(1, m.get) },
	'j':  func(m *machine) error { return m.memoKey(4, m.get) },

	// Names, and instances made by them: GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD.
	'c':  globalLines,
	0x93: (*machine).stackGlobal,
	'R':  (*machine).reduce,
	0x81: (*machine).reduce,
	'b':  (*machine).build,

	// PROTO FRAME.
	0x80: (*machine).protocol,
	0x95: func(m *machine) error { _, err := m.take(8); return err },
}

// pushed pushes a value unless err is set.
func (m *machine) pushed(v any, err error) error {
	if err != nil {
		return err
	}
	return m.push(v)
}

func (m *machine) mark() error {
	m.made++
	m.marks = append(m.marks, len(m.stack))
	return nil
}

func copyOctets(b []byte) []byte { return append([]byte{}, b...) }

// popOne pops a value, or the last mark if nothing is above it.
func popOne(m *machine) error {
	if len(m.marks) > 0 && m.floor() == len(m.stack) {
		m.marks = m.marks[:len(m.marks)-1]
		return nil
	}
	_, err := m.pop()
	return err
}

// addLast pops an item (n is 1), or a key and its value (n is 2), and adds it to the value
// below.
func (m *machine) addLast(n int) error {
	if len(m.stack)-m.floor() <= n {
		return errors.New("the pickle takes more from its stack than it holds")
	}
	from := len(m.stack) - n
	items := m.stack[from:]
	m.stack = m.stack[:from]
	return m.addTo(items, n == 2)
}

func (m *machine) addMarked(pairs bool) error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	return m.addTo(items, pairs)
}

func markedDict(m *machine) error {
	pairs, err := m.popMark()
	if err == nil && len(pairs)%2 != 0 {
		err = errors.New("a dict has a key without a value")
	}
	return m.pushed(&pyDict{pairs}, err)
}

func (m *machine) memoLine(use func(int) error) error {
	text, err := m.line()
	if err != nil {
		return err
	}
	key, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return fmt.Errorf("%.40q is no place to keep a value", text)
	}
	return use(int(key))
}

func (m *machine) memoKey(octets uint64, use func(int) error) error {
	key, err := m.number(octets)
	if err != nil {
		return err
	}
	return use(int(key))
}

func globalLines(m *machine) error {
	module, err := m.line()
	if err != nil {
		return err
	}
	name, err := m.line()
	if err != nil {
		return err
	}
	return m.global(module, name)
}

// quotedLine reads a str in quotes, in the form in which Python 2 prints it.
func quotedLine(m *machine) error {
	text, err := m.line()
	if err != nil {
		return err
	}
	if n := len(text); n < 2 || text[0] != '\'' && text[0] != '"' || text[n-1] != text[0] {
		return fmt.Errorf("%.40q is no string in quotes", text)
	}
	out, err := unquotePython(text[1 : len(text)-1])
	return m.pushed(pyStr(out), err)
}

// unquotePython resolves the escapes of a Python string of octets.
func unquotePython(text string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' {
			out.WriteByte(c)
			continue
		}
		if i++; i == len(text) {
			return "", errors.New("a string ends in a backslash")
		}
		if at := strings.IndexByte(`\'"abfnrtv`, text[i]); at >= 0 {
			out.WriteByte("\\'\"\a\b\f\n\r\t\v"[at])
			continue
		}
		if text[i] != 'x' || len(text)-i < 3 {
			return "", fmt.Errorf("a string has the escape \\%c", text[i])
		}
		n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("a string has the escape \\%.3s", text[i:])
		}
		out.WriteByte(byte(n))
		i += 2
	}
	return out.String(), nil
}

// escapedLine reads text in Latin-1, with \u and \U for all other characters.
func escapedLine(m *machine) error {
	text, err := m.line()
	if err != nil {
		return err
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		digits := 0
		if text[i] == '\\' && i+1 < len(text) {
			digits = map[byte]int{'u': 4, 'U': 8}[text[i+1]]
		}
		if digits == 0 {
			out.WriteRune(rune(text[i]))
			continue
		}
		if len(text)-i-2 < digits {
			return errors.New("a string ends within an escape")
		}
		n, err := strconv.ParseUint(text[i+2:i+2+digits], 16, 31)
		if err != nil {
			return fmt.Errorf("a string has the escape %.10q", text[i:])
		}
		out.WriteRune(rune(n))
		i += 1 + digits
	}
	return m.push(out.String())
}
