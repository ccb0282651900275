package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/streadway/amqp"
)

// errNotJSON is the error for text that is not JSON.
var errNotJSON = errors.New("not JSON")

// fieldOf converts JSON to a value of a headers table. A value that AMQP or Go cannot
// hold exactly is an error.
func fieldOf(text string) (any, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("it is not UTF-8, as JSON has to be")
	}
	if !json.Valid([]byte(text)) {
		return nil, errNotJSON
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return nextField(d, strings.Contains(text, "\uFFFD") || strings.Contains(strings.ToLower(text), `\ufffd`))
}

// nextField reads one value. replaced reports whether the text itself has U+FFFD, which
// otherwise means half of a surrogate pair.
func nextField(d *json.Decoder, replaced bool) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Number:
		return numberField(v.String())
	case string:
		if !replaced && strings.ContainsRune(v, utf8.RuneError) {
			return nil, fmt.Errorf("the text %q has half of a surrogate pair, which is no character", v)
		}
		return v, nil
	case json.Delim:
		if v == '[' {
			return listField(d, replaced)
		}
		return tableField(d, replaced)
	}
	return token, nil // a boolean, null
}

func listField(d *json.Decoder, replaced bool) (any, error) {
	list := []any{}
	for d.More() {
		v, err := nextField(d, replaced)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token() // the bracket
	return list, err
}

func tableField(d *json.Decoder, replaced bool) (any, error) {
	table := amqp.Table{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if _, twice := table[name]; twice {
			return nil, fmt.Errorf("the name %q is there twice: a table has each once", name)
		}
		if table[name], err = nextField(d, replaced); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the brace
	return table, err
}

// numberField is an int64, or a float64 that has exactly the value of the text.
func numberField(text string) (any, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !sameDecimal(text, strconv.FormatFloat(f, 'e', -1, 64)) {
		return nil, fmt.Errorf("the number %s fits into no field of AMQP without loss: write it as text, with = in place of :=", text)
	}
	return f, nil
}

// sameDecimal reports whether two decimals are the same number.
func sameDecimal(a, b string) bool {
	digitsA, exponentA, okA := decimalParts(a)
	digitsB, exponentB, okB := decimalParts(b)
	return okA && okB && digitsA == digitsB && (digitsA == "" || exponentA == exponentB)
}

// decimalParts returns the digits of a decimal, with its sign and without leading and
// trailing zeros, and the exponent of the last digit. Zero has no digits.
func decimalParts(text string) (digits string, exponent int, ok bool) {
	text, power, _ := strings.Cut(strings.ToLower(text), "e")
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil {
			return "", 0, errors.Is(err, strconv.ErrRange) && strings.Trim(text, "-0.") == ""
		}
	}
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	exponent -= len(fraction)
	digits = strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if trimmed == "" {
		return "", 0, true
	}
	return sign + trimmed, exponent, true
}
