package pickle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// stepsMax limits the values and marks that are made while a pickle is read: each needs much
// more memory than its octets in the pickle. Python puts most values into the memo once, and
// makes a mark for each container.
const stepsMax = 4 * valuesMax

// protocolMax is the newest protocol that is read.
const protocolMax = 5

var errCut = errors.New("the pickle is cut short")

// machine runs a pickle and makes nodes, which are only data: a class is a name, and an instance
// is the name with what it was made from. Nothing is looked up by name, and nothing is called.
type machine struct {
	in    []byte
	at    int
	stack []any
	marks []int // the positions of the MARKs on the stack
	memo  map[int]any
	made  int // values that were pushed or put into the memo, and marks
	done  bool
}

// These types are nodes. nil, bool, int64, *big.Int, float64, string and []byte are nodes,
// too.
type (
	pyStr    string // a str of Python 2, which may be octets or text
	pyList   struct{ items []any }
	pyTuple  struct{ items []any }
	pySet    struct{ items []any }
	pyDict   struct{ pairs []any } // key, value, key, value
	pyGlobal string                // module.name
	pyObject struct {
		class pyGlobal
		args  []any
		state any   // of BUILD
		items []any // appended to the instance
		pairs []any // set in the instance
	}
)

// readNodes returns the value that a pickle makes, as nodes. b must be one whole pickle and
// nothing else.
func readNodes(b []byte) (any, error) {
	m := machine{in: b, memo: map[int]any{}}
	for !m.done {
		at := m.at
		op, err := m.octet()
		if err != nil {
			return nil, err
		}
		run := opcodes[op]
		if run == nil {
			return nil, fmt.Errorf("opcode %q at %d is not one of plain data, in protocols 0 to %d", op, at, protocolMax)
		}
		if err := run(&m); err != nil {
			return nil, err
		}
		if m.made > stepsMax {
			return nil, fmt.Errorf("it makes more than %d values", stepsMax)
		}
	}
	if m.at < len(b) {
		return nil, fmt.Errorf("%d octets follow the pickle", len(b)-m.at)
	}
	return m.pop()
}

func (m *machine) octet() (byte, error) {
	b, err := m.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// take returns the next n octets.
func (m *machine) take(n uint64) ([]byte, error) {
	if n > uint64(len(m.in)-m.at) {
		return nil, errCut
	}
	m.at += int(n)
	return m.in[m.at-int(n) : m.at], nil
}

// number reads a little-endian number of that many octets.
func (m *machine) number(octets uint64) (uint64, error) {
	b, err := m.take(octets)
	if err != nil {
		return 0, err
	}
	var wide [8]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), nil
}

// counted reads a length of that many octets, and then as many octets as it says.
func (m *machine) counted(octets uint64) ([]byte, error) {
	n, err := m.number(octets)
	if err != nil {
		return nil, err
	}
	return m.take(n)
}

// line reads up to a newline, and returns the text without it.
func (m *machine) line() (string, error) {
	n := bytes.IndexByte(m.in[m.at:], '\n')
	if n < 0 {
		return "", errCut
	}
	text := string(m.in[m.at : m.at+n])
	m.at += n + 1
	return text, nil
}

func (m *machine) push(v any) error {
	m.made++
	m.stack = append(m.stack, v)
	return nil
}

// floor is the position on the stack below which nothing may be popped.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

func (m *machine) pop() (any, error) {
	last := len(m.stack) - 1
	if last < m.floor() {
		return nil, errors.New("the pickle takes more from its stack than it holds")
	}
	v := m.stack[last]
	m.stack = m.stack[:last]
	return v, nil
}

func (m *machine) top() (any, error) {
	v, err := m.pop()
	if err != nil {
		return nil, err
	}
	m.stack = append(m.stack, v)
	return v, nil
}

// popMark pops what was pushed since the last MARK. The result belongs to the caller.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("the pickle goes back to a mark that it has not made")
	}
	from := m.floor()
	m.marks = m.marks[:len(m.marks)-1]
	items := append([]any(nil), m.stack[from:]...)
	m.stack = m.stack[:from]
	return items, nil
}

// popTuple replaces the last n values by a tuple.
func (m *machine) popTuple(n int) error {
	items := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if items[i], err = m.pop(); err != nil {
			return err
		}
	}
	return m.push(&pyTuple{items})
}

// addTo appends items, or pairs of keys and values, to the value on top of the stack.
func (m *machine) addTo(items []any, pairs bool) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	if pairs && len(items)%2 != 0 {
		return errors.New("a dict has a key without a value")
	}
	switch v := v.(type) {
	case *pyList:
		if !pairs {
			v.items = append(v.items, items...)
			return nil
		}
	case *pyDict:
		if pairs {
			v.pairs = append(v.pairs, items...)
			return nil
		}
	case *pyObject:
		if pairs {
			v.pairs = append(v.pairs, items...)
		} else {
			v.items = append(v.items, items...)
		}
		return nil
	}
	return fmt.Errorf("items are added to a %s", nodeName(v))
}

func (m *machine) addToSet() error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	set, ok := v.(*pySet)
	if !ok {
		return fmt.Errorf("items are added to a %s", nodeName(v))
	}
	set.items = append(set.items, items...)
	return nil
}

func (m *machine) put(key int) error {
	v, err := m.top()
	if err == nil {
		m.made++
		m.memo[key] = v
	}
	return err
}

func (m *machine) get(key int) error {
	v, ok := m.memo[key]
	if !ok {
		return fmt.Errorf("the pickle looks for value %d, which it has not kept", key)
	}
	return m.push(v)
}

func (m *machine) protocol() error {
	version, err := m.octet()
	if err == nil && version > protocolMax {
		return fmt.Errorf("its protocol is %d, and 0 to %d are read", version, protocolMax)
	}
	return err
}

// nodeText returns a string of Python 2 or 3.
func nodeText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case pyStr:
		return string(v), true
	}
	return "", false
}

// nodeName returns what errors call a node.
func nodeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case pyGlobal:
		return string(v)
	case *pyObject:
		return string(v.class)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "*publisher.py")
}
