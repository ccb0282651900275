package document

import (
	"reflect"
	"time"

	"github.com/invopop/jsonschema"

	"zamqp/publisher/binding"
)

// parameter is the parameter object of a field. A query parameter that may come several times
// is explode = true, a list in a header field is separated by commas: both are the defaults of
// OpenAPI.
func parameter(q *binding.Parameter) object {
	made := object{"name": q.Name, "in": q.In, "schema": parameterSchema(q)}
	if q.In == binding.InPath || requires(q.Field.Tag) && !q.HasDefault {
		made["required"] = true
	}
	if description := q.Field.Tag.Get("jsonschema_description"); description != "" {
		made["description"] = description
	}
	return made
}

// parameterSchema is the schema of the text of a parameter.
func parameterSchema(q *binding.Parameter) *jsonschema.Schema {
	t := q.Field.Type
	schema := textSchema(t)
	if q.Multiple {
		schema = &jsonschema.Schema{Type: "array", Items: textSchema(t.Elem())}
	}
	if t != reflect.TypeFor[time.Duration]() {
		constrain(schema, t, q.Field.Tag.Get("validate"))
	}
	if q.HasDefault {
		if schema.Default = defaultOf(t, q.Default); schema.Type == "string" {
			schema.Default = q.Default
		}
	}
	return schema
}

func textSchema(t reflect.Type) *jsonschema.Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	schema := &jsonschema.Schema{Type: "string"}
	switch k := t.Kind(); {
	case t == reflect.TypeFor[time.Time]():
		schema.Format = "date-time"
	case t == reflect.TypeFor[time.Duration]():
		schema.Examples = []any{"1m30s"}
	case encodesItself(t):
	case k == reflect.Bool:
		schema.Type = "boolean"
	case k >= reflect.Int && k <= reflect.Uint64:
		schema.Type = "integer"
		addFormat(schema, t)
	case k == reflect.Float32, k == reflect.Float64:
		schema.Type = "number"
		addFormat(schema, t)
	}
	return schema
}
