// Package document writes down the interface of a registry: its routes as an OpenAPI 3.1 document,
// its consumers and producers as an AsyncAPI 3.0 document. Schemas come from the Go types of typed
// handlers, and from what handler packages say by [publisher.Doc].
//
// A document is made once, when the program starts or by a command. Equal registries make equal
// documents, octet for octet.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"

	"zamqp/publisher"
)

// A Source is what a document is made of.
type Source struct {
	Registry  *publisher.Registry
	Producers map[string]publisher.Producer // as they are configured
	Consumers map[string]publisher.Consumer
	BaseURL   string // where clients reach the routes; "" is where they got the document
}

// Of returns the source of what a registry declares, without a configuration.
func Of(g *publisher.Registry) Source {
	return Source{Registry: g, Producers: g.Producers(), Consumers: g.Consumers()}
}

// object is a JSON object; its members are written in the order of their names.
type object = map[string]any

// info is the info object of both kinds of documents.
func (s Source) info() object {
	i := s.Registry.Info()
	if i.Title == "" {
		i.Title = filepath.Base(os.Args[0])
		if build, ok := debug.ReadBuildInfo(); ok && build.Path != "" {
			i.Title = filepath.Base(build.Path)
		}
	}
	if i.Version == "" {
		i.Version = "0"
		if build, ok := debug.ReadBuildInfo(); ok && build.Main.Version != "" && build.Main.Version != "(devel)" {
			i.Version = build.Main.Version
		}
	}
	made := object{"title": i.Title, "version": i.Version}
	if i.Description != "" {
		made["description"] = i.Description
	}
	return made
}

// write encodes a document.
func write(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// problemSchema is the schema of errors in JSON (RFC 9457).
var problemSchema = object{
	"type":        "object",
	"description": "A problem of RFC 9457.",
	"properties": object{
		"type":     object{"type": "string", "format": "uri-reference"},
		"title":    object{"type": "string"},
		"status":   object{"type": "integer", "format": "int32"},
		"detail":   object{"type": "string"},
		"instance": object{"type": "string", "format": "uri-reference"},
		"errors": object{
			"type": "array",
			"items": object{
				"type": "object", "required": []string{"detail"},
				"properties": object{
					"path":   object{"type": "string", "description": "a JSON pointer into the body, or query.NAME, path.NAME, header.NAME"},
					"detail": object{"type": "string"},
				},
			},
		},
	},
}

// problemName is the name of its component. A type of that name gets another one.
const problemName = "Problem"

// makeSchemas returns an empty collection of schemas.
func makeSchemas() *schemas {
	s := newSchemas()
	s.taken[problemName] = reflect.TypeFor[publisher.Problem]()
	return s
}

// all returns the components.
func (s *schemas) all() object {
	made := object{problemName: problemSchema}
	for name, schema := range s.components {
		made[name] = schema
	}
	return made
}

// describe adds summary, description and tags of an operation.
func describe(to object, d publisher.Doc) {
	if d.Summary != "" {
		to["summary"] = d.Summary
	}
	if d.Description != "" {
		to["description"] = d.Description
	}
}

// failures collects the errors of operations, each with its name.
type failures struct{ err error }

func (f *failures) add(what string, err error) {
	if err != nil {
		f.err = errors.Join(f.err, fmt.Errorf("%s: %w", what, err))
	}
}
