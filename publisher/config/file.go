package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// readFile makes a layer of a TOML file. Only optional files may be missing.
func readFile(s *schema, name string, optional bool) *layer {
	l := newLayer(s)
	data, err := os.ReadFile(name)
	switch {
	case err == nil:
		l.parse(name, data)
	case optional && errors.Is(err, fs.ErrNotExist):
	default:
		var path *fs.PathError
		if errors.As(err, &path) { // the whole error would name the file twice
			err = path.Err
		}
		l.problems = append(l.problems, &Problem{
			Origin: Origin{Source: name},
			Text:   fmt.Sprintf("cannot read the configuration: %v", err),
		})
	}
	return l
}

func (l *layer) parse(name string, data []byte) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark, as editors on Windows write it
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		l.problems = append(l.problems, &Problem{Origin: Origin{Source: name, Line: 1}, Text: "this is UTF-16: save it as UTF-8"})
		return
	}
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		p := &Problem{Origin: Origin{Source: name}, Text: err.Error()}
		// The error's longer form shows the lines around it, which may hold a
		// password. Position and reason are enough.
		var bad *toml.DecodeError
		if errors.As(err, &bad) {
			line, column := bad.Position()
			p.Origin.Line = line
			p.Text = fmt.Sprintf("column %d: not TOML: %s", column, strings.TrimPrefix(bad.Error(), "toml: "))
		}
		l.problems = append(l.problems, p)
		return
	}
	if tree != nil {
		l.tree = tree
	}
	l.locate(name, data)
}

// locate records the line of every key. Unmarshal does not tell lines, so the syntax
// tree is parsed once more.
func (l *layer) locate(name string, data []byte) {
	var p unstable.Parser
	p.Reset(data)
	var table []string
	for p.NextExpression() {
		node := p.Expression()
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = l.note(&p, name, nil, node)
		case unstable.KeyValue:
			l.locateValue(&p, name, table, node)
		}
	}
}

// locateValue records a key and, if its value is an inline table, the keys in it.
func (l *layer) locateValue(p *unstable.Parser, name string, table []string, node *unstable.Node) {
	path := l.note(p, name, table, node)
	value := node.Value()
	if value.Kind != unstable.InlineTable {
		return
	}
	inside := value.Children()
	for inside.Next() {
		if inside.Node().Kind == unstable.KeyValue {
			l.locateValue(p, name, path, inside.Node())
		}
	}
}

// note records the line of each part of a key and returns its whole path. For a table, the
// first line that mentions it counts.
func (l *layer) note(p *unstable.Parser, name string, table []string, node *unstable.Node) []string {
	path := table[:len(table):len(table)]
	for key := node.Key(); key.Next(); {
		path = append(path, string(key.Node().Data))
		if _, known := l.origins[join(path)]; !known {
			line := p.Shape(key.Node().Raw).Start.Line
			l.origins[join(path)] = Origin{Source: name, Line: line}
		}
	}
	return path
}

// parseValue reads text as one TOML value; nil if it is not one.
func parseValue(text string) any {
	var doc map[string]any
	if err := toml.Unmarshal([]byte("value = "+text), &doc); err != nil || len(doc) != 1 {
		return nil // more than one key: text held a line break and another key
	}
	return doc["value"]
}
