package binding

import (
	"reflect"
	"strings"
)

// pathOf makes the path of a mistake from the names of the fields in Go, as the validator tells
// them: "Order.Items[0].Name" is "/items/0/name".
func (p *Plan) pathOf(fields string) string {
	if name := p.Type.Name(); name != "" {
		fields = strings.TrimPrefix(fields, name+".")
	}
	var path strings.Builder
	t := p.Type
	for fields != "" {
		if t != nil && t.Kind() == reflect.Pointer {
			t = t.Elem()
			continue
		}
		if fields[0] == '.' {
			fields = fields[1:]
			continue
		}
		if fields[0] == '[' {
			end := keyEnd(fields)
			path.WriteByte('/')
			path.WriteString(escapePointer(fields[1:end]))
			fields = fields[min(end+1, len(fields)):]
			if t != nil && holds(t) && t.Kind() != reflect.Struct {
				t = t.Elem()
			} else {
				t = nil
			}
			continue
		}
		end := strings.IndexAny(fields, ".[")
		if end < 0 {
			end = len(fields)
		}
		name := fields[:end]
		fields = fields[end:]
		var f reflect.StructField
		found := false
		if t != nil && t.Kind() == reflect.Struct {
			f, found = t.FieldByName(name)
		}
		if !found {
			path.WriteString("/" + escapePointer(name))
			t = nil
			continue
		}
		t = f.Type
		if in, parameter := parameterOf(f); in != "" {
			path.Reset()
			path.WriteString(in + "." + parameter)
			continue
		}
		if f.Anonymous && jsonName(f) == "" {
			continue // its members are those of the struct around it
		}
		path.WriteString("/" + escapePointer(memberName(f)))
	}
	return path.String()
}

// keyEnd is where the bracket at the start of fields is closed. A key of a map may have
// brackets of its own: the last one that a field, or the end, follows closes it.
func keyEnd(fields string) int {
	if end := strings.IndexByte(fields, ']'); end > 0 {
		return end
	}
	return len(fields)
}

// memberName is the name of a field in JSON.
func memberName(f reflect.StructField) string {
	if name := jsonName(f); name != "" {
		return name
	}
	return f.Name
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// escapePointer escapes a part of a JSON pointer. RFC 6901 §3.
func escapePointer(part string) string { return pointerEscapes.Replace(part) }
