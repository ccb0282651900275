package monitoring_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A logLine is a line that the server can write.
type logLine struct {
	message string // with … for what is not constant
	levels  []string
	fields  []string
	place   string
}

// eventMethods are the methods that begin a line, by its level; WithLevel's is not constant.
var eventMethods = map[string]string{"Debug": "debug", "Info": "info", "Warn": "warn", "Error": "error", "WithLevel": "", "Log": "info"}

// logLines finds the lines in the source: calls of Msg, with the fields that are set in the same
// expression.
func logLines(t *testing.T) map[string]*logLine {
	t.Helper()
	lines := map[string]*logLine{}
	for _, root := range []string{"publisher", "handlers", "loop", "amqpproto"} {
		constants, files := map[string]string{}, map[string]*ast.File{}
		set := token.NewFileSet()
		err := filepath.WalkDir("../../"+root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/testdata/") {
				return err
			}
			file, err := parser.ParseFile(set, path, nil, 0)
			if err == nil {
				files[path] = file
				collectConstants(file, constants)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for path, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				call, is := n.(*ast.CallExpr)
				if !is || !isMethod(call, "Msg") || len(call.Args) != 1 {
					return true
				}
				message := textOf(call.Args[0], constants)
				if message == "…" {
					message = fmt.Sprintf("… (%s)", strings.TrimPrefix(filepath.ToSlash(path), "../../"))
				}
				line := lines[message]
				if line == nil {
					line = &logLine{message: message, place: set.Position(call.Pos()).String()}
					lines[message] = line
				}
				line.add(call.Fun.(*ast.SelectorExpr).X)
				return true
			})
		}
	}
	return lines
}

func collectConstants(file *ast.File, constants map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, is := n.(*ast.ValueSpec); is {
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					if lit, is := spec.Values[i].(*ast.BasicLit); is && lit.Kind == token.STRING {
						constants[name.Name], _ = strconv.Unquote(lit.Value)
					}
				}
			}
		}
		return true
	})
}

func isMethod(call *ast.CallExpr, name string) bool {
	s, is := call.Fun.(*ast.SelectorExpr)
	return is && s.Sel.Name == name
}

// textOf returns a text with … for each part that is not constant.
func textOf(e ast.Expr, constants map[string]string) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.Ident:
		if text, known := constants[e.Name]; known {
			return text
		}
	case *ast.BinaryExpr:
		return textOf(e.X, constants) + textOf(e.Y, constants)
	}
	return "…"
}

// add adds the level and the fields of an expression such as log.Warn().Err(err).Str("x", x).
func (l *logLine) add(e ast.Expr) {
	for {
		call, is := e.(*ast.CallExpr)
		if !is {
			return
		}
		s, is := call.Fun.(*ast.SelectorExpr)
		if !is {
			return
		}
		if level, is := eventMethods[s.Sel.Name]; is && level != "" && !slices.Contains(l.levels, level) {
			l.levels = append(l.levels, level)
		}
		field := ""
		if s.Sel.Name == "Err" {
			field = "error"
		} else if len(call.Args) == 2 {
			if lit, is := call.Args[0].(*ast.BasicLit); is && lit.Kind == token.STRING {
				field, _ = strconv.Unquote(lit.Value)
			}
		}
		if field != "" && !slices.Contains(l.fields, field) {
			l.fields = append(l.fields, field)
		}
		e = s.X
	}
}

// TestLogsAreDocumented holds the guide's table to the source: each line that the server can write
// has a row with its level and its fields, and each row is of such a line.
func TestLogsAreDocumented(t *testing.T) {
	lines := logLines(t)
	if len(lines) < 80 {
		t.Fatalf("only %d lines were found", len(lines))
	}
	rows := map[string][]string{} // by message: level, fields, what to do
	row := regexp.MustCompile(`(?m)^\| ([a-z, ]*) \| (.+?) \| ([^|]*) \| (.*) \|$`)
	_, table, _ := strings.Cut(readFile(t, "../../docs/guide/logs.md"), "\n## All lines\n")
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		rows[m[2]] = []string{m[1], m[3], m[4]}
	}
	for _, message := range slices.Sorted(maps.Keys(lines)) {
		line := lines[message]
		found, is := rows[message]
		if !is {
			t.Errorf("%s: docs/guide/logs.md lacks a row for it:\n| %s | %s | %s | what to do |", line.place, strings.Join(line.levels, ", "), message, quoted(line.fields))
			continue
		}
		delete(rows, message)
		for _, level := range line.levels {
			if !strings.Contains(found[0], level) {
				t.Errorf("%s: the row of %q lacks the level %s", line.place, message, level)
			}
		}
		for _, field := range line.fields {
			if !strings.Contains(found[1], "`"+field+"`") {
				t.Errorf("%s: the row of %q lacks the field `%s`", line.place, message, field)
			}
		}
		if found[2] == "" {
			t.Errorf("the row of %q does not say what to do", message)
		}
	}
	for message := range rows {
		if message != "message" {
			t.Errorf("docs/guide/logs.md has %q, which nothing writes", message)
		}
	}
}

func quoted(fields []string) string {
	slices.Sort(fields)
	text := ""
	for _, f := range fields {
		text += " `" + f + "`"
	}
	return strings.TrimSpace(text)
}
