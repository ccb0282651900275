package publisher

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// csvCodec reads and writes RFC 4180. Every field is quoted, quotes are
// doubled, lines end in CRLF. A value is
//
//   - [][]string: the lines as they are,
//   - []map[string]string or []map[string]any: the first row's keys, sorted,
//     are the header; a key that the header lacks is an error,
//   - a slice of structs: the exported fields, named by their csv or json tag,
//     are the header.
//
// Values of all types are written as strings, and only strings are read back. Octets that are
// not UTF-8 are left out. Decoded into an any, the value is a []map[string]string.
type csvCodec struct{}

func (csvCodec) ContentType() string { return "text/csv" }

func (csvCodec) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case [][]string:
		for _, line := range v {
			dst = appendLine(dst, line)
		}
		return dst, nil
	case []map[string]string:
		return appendMaps(dst, v)
	case []map[string]any:
		return appendMaps(dst, v)
	}
	rows := reflect.Indirect(reflect.ValueOf(v))
	if rows.Kind() != reflect.Slice || rows.Type().Elem().Kind() != reflect.Struct {
		return dst, fmt.Errorf("csv: cannot encode a %T: give [][]string, []map[string]string or a slice of structs", v)
	}
	columns := columnsOf(rows.Type().Elem())
	dst = appendLine(dst, columns.names)
	line := make([]string, len(columns.names))
	for i := range rows.Len() {
		for j, index := range columns.index {
			line[j] = csvText(rows.Index(i).Field(index).Interface())
		}
		dst = appendLine(dst, line)
	}
	return dst, nil
}

func appendMaps[V any](dst []byte, rows []map[string]V) ([]byte, error) {
	if len(rows) == 0 {
		return dst, fmt.Errorf("csv: no rows, so no header: give at least one")
	}
	header := make([]string, 0, len(rows[0]))
	for key := range rows[0] {
		header = append(header, key)
	}
	sort.Strings(header)
	dst = appendLine(dst, header)
	line := make([]string, len(header))
	for i, row := range rows {
		known := 0
		for j, key := range header {
			value, ok := row[key]
			if line[j] = ""; ok {
				line[j] = csvText(value)
				known++
			}
		}
		if known != len(row) {
			return dst, fmt.Errorf("csv: row %d has a key that the first row lacks (header: %s)", i+1, strings.Join(header, ", "))
		}
		dst = appendLine(dst, line)
	}
	return dst, nil
}

// csvText returns the text of a field: empty for nil, as for Python's None, and for a pointer
// the value that it points to.
func csvText(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case []byte:
		return string(value)
	case fmt.Stringer, error:
		if v := reflect.ValueOf(value); v.Kind() != reflect.Pointer || !v.IsNil() {
			return fmt.Sprint(value)
		}
		return ""
	}
	if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		return csvText(v.Elem().Interface())
	}
	return fmt.Sprint(value)
}

func appendLine(dst []byte, line []string) []byte {
	for i, field := range line {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		for j := 0; j < len(field); j++ {
			if field[j] == '"' {
				dst = append(dst, '"')
			}
			dst = append(dst, field[j])
		}
		dst = append(dst, '"')
	}
	return append(dst, '\r', '\n')
}

func (csvCodec) Decode(b []byte, v any) error {
	lines, err := csv.NewReader(bytes.NewReader(bytes.ToValidUTF8(b, nil))).ReadAll()
	if err != nil {
		return err
	}
	if v, ok := v.(*[][]string); ok {
		*v = lines
		return nil
	}
	if len(lines) == 0 {
		return fmt.Errorf("csv: the header line is missing")
	}
	header, lines := lines[0], lines[1:]
	switch v := v.(type) {
	case *[]map[string]string:
		*v = mapsOf(header, lines)
		return nil
	case *any:
		*v = mapsOf(header, lines)
		return nil
	}
	return decodeStructs(header, lines, v)
}

func mapsOf(header []string, lines [][]string) []map[string]string {
	rows := make([]map[string]string, len(lines))
	for i, line := range lines {
		rows[i] = make(map[string]string, len(header))
		for j, key := range header {
			rows[i][key] = line[j]
		}
	}
	return rows
}

func decodeStructs(header []string, lines [][]string, v any) error {
	rows := reflect.ValueOf(v)
	if rows.Kind() != reflect.Pointer || rows.Elem().Kind() != reflect.Slice || rows.Elem().Type().Elem().Kind() != reflect.Struct {
		return fmt.Errorf("csv: cannot decode into a %T: give *[][]string, *[]map[string]string or a pointer to a slice of structs", v)
	}
	rows = rows.Elem()
	columns := columnsOf(rows.Type().Elem())
	out := reflect.MakeSlice(rows.Type(), len(lines), len(lines))
	for j, key := range header {
		at := slices.Index(columns.names, key)
		if at < 0 {
			continue // as in encoding/json, unknown fields are skipped
		}
		for i, line := range lines {
			if err := setField(out.Index(i).Field(columns.index[at]), line[j]); err != nil {
				return fmt.Errorf("csv: row %d, %s: %w", i+1, key, err)
			}
		}
	}
	rows.Set(out)
	return nil
}

func setField(field reflect.Value, text string) error {
	if field.Kind() == reflect.String {
		field.SetString(text)
		return nil
	}
	if text == "" {
		return nil
	}
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		return setField(field.Elem(), text)
	}
	var rest string
	switch n, err := fmt.Sscan(text, field.Addr().Interface(), &rest); n {
	case 0:
		return err
	case 1:
		return nil
	}
	return fmt.Errorf("%q follows the value", rest)
}

// columns returns the exported fields of a struct by their names in the header.
type columns struct {
	names []string
	index []int
}

func columnsOf(t reflect.Type) (c columns) {
	for i := range t.NumField() {
		field := t.Field(i)
		name := field.Name
		for _, tag := range []string{"json", "csv"} {
			if text, _, _ := strings.Cut(field.Tag.Get(tag), ","); text != "" {
				name = text
			}
		}
		if field.IsExported() && name != "-" {
			c.names = append(c.names, name)
			c.index = append(c.index, i)
		}
	}
	return c
}
