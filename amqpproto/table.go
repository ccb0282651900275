package amqpproto

import "github.com/streadway/amqp"

// RawTable is an encoded field table without its 4-octet length: pairs of a short string
// and a typed value. It is a view. Decoding the method or properties does not validate
// it: an error in it is a ConnectionError 502 when the table is read. AMQP 0-9-1
// §4.2.5.5.
type RawTable []byte

// cutPair cuts one pair off b.
func cutPair(b []byte) (key []byte, v Field, rest []byte, err error) {
	key, rest, ok := cutShortstr(b)
	if !ok {
		return nil, Field{}, b, syntaxError("table: a field name is cut short")
	}
	v, rest, ok = cutField(rest)
	if !ok {
		return nil, Field{}, b, pairFault(key, b[1+len(key):])
	}
	return key, v, rest, nil
}

func pairFault(key, value []byte) error {
	return syntaxError("table field %q: %s", key, fieldFault(value))
}

// Validate checks the whole table: lengths, types, and depth of nesting. It allocates
// nothing except an error.
func (t RawTable) Validate() error { return t.validate(1) }

func (t RawTable) validate(depth int) error {
	for b := []byte(t); len(b) > 0; {
		_, v, rest, err := cutPair(b)
		if err == nil {
			err = v.validate(depth)
		}
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// validate checks what is nested in a value that is depth levels down.
func (f Field) validate(depth int) error {
	if f.Type != FieldTable && f.Type != FieldArray {
		return nil
	}
	if depth++; depth > TableDepthMax {
		return tooDeep()
	}
	if f.Type == FieldTable {
		return RawTable(f.Raw).validate(depth)
	}
	for b := f.Raw; len(b) > 0; {
		v, rest, ok := cutField(b)
		if !ok {
			return syntaxError("array: %s", fieldFault(b))
		}
		if err := v.validate(depth); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// Each calls fn for each pair, in order, until it returns false. Key and value
// are views. It does not look into nested tables and arrays.
func (t RawTable) Each(fn func(key []byte, v Field) bool) error {
	for b := []byte(t); len(b) > 0; {
		key, v, rest, err := cutPair(b)
		if err != nil {
			return err
		}
		if !fn(key, v) {
			return nil
		}
		b = rest
	}
	return nil
}

// Lookup returns the first value with that name. If the table is malformed before the
// name, the name is not found.
func (t RawTable) Lookup(name string) (Field, bool) {
	for b := []byte(t); len(b) > 0; {
		key, rest, ok := cutShortstr(b)
		if !ok {
			break
		}
		v, rest, ok := cutField(rest)
		if !ok {
			break
		}
		if string(key) == name {
			return v, true
		}
		b = rest
	}
	return Field{}, false
}

// Table decodes the table, nested ones included, as a copy; see [Field.Value]
// for the Go types. Of fields with the same name, which §4.2.5.5 forbids, the
// first counts, as in RabbitMQ and in Lookup. The memory it takes is bounded by
// a constant times len(t).
func (t RawTable) Table() (amqp.Table, error) {
	table, err := t.table(1)
	if err != nil {
		return nil, err
	}
	return table, nil
}

// table decodes a table that is depth levels down; the outermost is at 1.
func (t RawTable) table(depth int) (amqp.Table, error) {
	if depth > TableDepthMax {
		return nil, tooDeep()
	}
	n := 0
	if err := t.Each(func([]byte, Field) bool { n++; return true }); err != nil {
		return nil, err
	}
	// The hint is bounded, because n includes duplicates, which take two octets each and
	// no room in the map.
	table := make(amqp.Table, min(n, 64))
	var err error
	for b := []byte(t); len(b) > 0; {
		key, v, rest, _ := cutPair(b)
		if _, seen := table[string(key)]; seen {
			// The value is not used, but the error counts wherever it is in the table.
			if err := v.validate(depth); err != nil {
				return nil, err
			}
		} else if table[string(key)], err = v.value(depth); err != nil {
			return nil, err
		}
		b = rest
	}
	return table, nil
}
