package publisher

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// pickleDigits is the largest number of digits of a decimal number that is read. The time to
// read a number grows with the square of its length. Python has the same limit.
const pickleDigits = 4300

// pickleLongMax is the largest number of octets of a binary number: it has about as many
// digits.
const pickleLongMax = 1786

// decimal reads a number of protocol 0.
func (m *pickleMachine) decimal() error {
	text, err := m.line()
	if err != nil {
		return err
	}
	if len(text) > pickleDigits {
		return fmt.Errorf("a number has more than %d digits", pickleDigits)
	}
	n, ok := new(big.Int).SetString(strings.TrimSuffix(text, "L"), 10)
	if !ok {
		return fmt.Errorf("%q is no number", text)
	}
	return m.push(n)
}

// integer reads a number of protocol 0, in which 00 and 01 are the booleans.
func (m *pickleMachine) integer() error {
	rest := m.in[m.at:]
	for i, word := range [...]string{"00\n", "01\n"} {
		if bytes.HasPrefix(rest, []byte(word)) {
			m.at += len(word)
			return m.push(i == 1)
		}
	}
	return m.decimal()
}

// long reads a number in two's complement, little-endian.
func (m *pickleMachine) long(octets uint64) error {
	b, err := m.counted(octets)
	if err != nil {
		return err
	}
	if len(b) > pickleLongMax {
		return fmt.Errorf("a number has more than %d digits", pickleDigits)
	}
	turned := make([]byte, len(b))
	for i, c := range b {
		turned[len(b)-1-i] = c
	}
	n := new(big.Int).SetBytes(turned)
	if len(b) > 0 && b[len(b)-1] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return m.push(n)
}

func (m *pickleMachine) float() error {
	text, err := m.line()
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%.40q is no number", text)
	}
	return m.push(f)
}

func (m *pickleMachine) binaryFloat() error {
	b, err := m.take(8)
	if err != nil {
		return err
	}
	return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
}
