package pickle

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

// digitsMax is the largest number of digits of a decimal number that is read. The time to
// read a number grows with the square of its length. Python has the same limit.
const digitsMax = 4300

// longMax is the largest number of octets of a binary number: it has about as many
// digits.
const longMax = 1786

// decimal reads a number of protocol 0.
func (m *machine) decimal() error {
	text, err := m.line()
	if err != nil {
		return err
	}
	if len(text) > digitsMax {
		return fmt.Errorf("a number has more than %d digits", digitsMax)
	}
	n, ok := new(big.Int).SetString(strings.TrimSuffix(text, "L"), 10)
	if !ok {
		return fmt.Errorf("%q is not a number", text)
	}
	return m.push(n)
}

// integer reads a number of protocol 0, in which 00 and 01 are the booleans.
func (m *machine) integer() error {
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
func (m *machine) long(octets uint64) error {
	b, err := m.counted(octets)
	if err != nil {
		return err
	}
	if len(b) > longMax {
		return fmt.Errorf("a number has more than %d digits", digitsMax)
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

func (m *machine) float() error {
	text, err := m.line()
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%.40q is not a number", text)
	}
	return m.push(f)
}

func (m *machine) binaryFloat() error {
	b, err := m.take(8)
	if err != nil {
		return err
	}
	return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
}
