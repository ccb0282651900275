// Package tidy_test holds the repository to its own rules: which package may import
// which, what may lie where, how long a function may be. A rule that a reviewer
// would have to remember is written down here instead.
package tidy_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// ignored are the names that .gitignore keeps out, wherever they are.
var ignored = []string{".git", "bin", "tmp"}

// file is one source file of the repository.
type file struct {
	path   string // from the root, with slashes
	src    []byte
	syntax *ast.File
	fset   *token.FileSet
}

func (f *file) dir() string     { return dirOf(f.path) }
func (f *file) isTest() bool    { return strings.HasSuffix(f.path, "_test.go") }
func (f *file) generated() bool { return ast.IsGenerated(f.syntax) }

func dirOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return "."
}

// walk calls fn with every file that belongs to the repository.
func walk(t *testing.T, fn func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		switch {
		case path == root:
			return nil
		case d.IsDir() && (slices.Contains(ignored, d.Name()) || d.Name() == "__pycache__"):
			return fs.SkipDir
		case d.Type().IsRegular() && d.Name() != ".git": // a file in a linked work tree
			fn(rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sources parses every Go file, of every platform and build tag.
func sources(t *testing.T) []*file {
	t.Helper()
	var files []*file
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") || strings.Contains(path, "/testdata/") {
			return
		}
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		files = append(files, &file{path, src, syntax, fset})
	})
	if len(files) == 0 {
		t.Fatal("found no Go files; is this run from tests/tidy?")
	}
	return files
}

// topLevel is all that the repository's first page may show.
var topLevel = []string{
	"main.go", "config.toml", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
	"go.mod", "go.sum", ".gitignore", ".gitattributes", ".ci",
	"loop", "amqpproto", "publisher", "handlers", "tests", "docs",
}

func TestTopLevelNames(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		// A binary built in place is ignored by git as well.
		if !slices.Contains(topLevel, e.Name()) && !slices.Contains(ignored, e.Name()) && e.Name() != "zamqp" {
			t.Errorf("%s: no such name in the plan of the top level; put it into a package, or change the plan and this list together", e.Name())
		}
	}
}

// vagueNames say nothing about what a file holds.
var vagueNames = regexp.MustCompile(`^(utils?|types|common|helpers?|misc|shared|base|stuff)(_test)?\.go$`)

func TestFileNames(t *testing.T) {
	for _, f := range sources(t) {
		if vagueNames.MatchString(filepath.Base(f.path)) {
			t.Errorf("%s: name the file by the noun it holds", f.path)
		}
		if f.generated() && !strings.HasSuffix(f.path, "_gen.go") && !strings.HasSuffix(f.path, "_gen_test.go") {
			t.Errorf("%s: generated files end in _gen.go", f.path)
		}
		inside := f.isTest() && !strings.HasSuffix(f.syntax.Name.Name, "_test") && f.syntax.Name.Name != "main"
		if inside && !strings.HasSuffix(f.path, "_internal_test.go") {
			t.Errorf("%s: tests use the public face (package %s_test); one that cannot is named *_internal_test.go", f.path, f.syntax.Name.Name)
		}
	}
}

func TestGofmt(t *testing.T) {
	for _, f := range sources(t) {
		formatted, err := format.Source(f.src)
		if err != nil {
			t.Errorf("%s: %v", f.path, err)
		} else if !bytes.Equal(formatted, f.src) {
			t.Errorf("%s: run gofmt -w on it", f.path)
		}
	}
}

const (
	functionLinesMax     = 70
	testFunctionLinesMax = 120
	fileLinesMax         = 500
)

// longFunctions may exceed the limit, with the reason. Keep it short.
var longFunctions = map[string]string{}

// longFiles likewise.
var longFiles = map[string]string{}

func TestLengths(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sources(t) {
		if f.generated() {
			continue
		}
		if lines := bytes.Count(f.src, []byte("\n")); lines > fileLinesMax && !f.isTest() {
			if used[f.path] = true; longFiles[f.path] == "" {
				t.Errorf("%s: %d lines; from %d on split it, or discuss it and list it here with the reason", f.path, lines, fileLinesMax)
			}
		}
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			limit := functionLinesMax
			if f.isTest() {
				limit = testFunctionLinesMax
			}
			lines := f.fset.Position(fn.Body.Rbrace).Line - f.fset.Position(fn.Pos()).Line + 1
			name := f.path + ":" + funcName(fn)
			if lines > limit {
				if used[name] = true; longFunctions[name] == "" {
					t.Errorf("%s: %d lines; a function fits one screen (%d)", name, lines, limit)
				}
			}
		}
	}
	for _, list := range []map[string]string{longFunctions, longFiles} {
		for name := range list {
			if !used[name] {
				t.Errorf("%s: is within the limit now, or gone; take it off the list", name)
			}
		}
	}
}

func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	recv := fn.Recv.List[0].Type
	if s, ok := recv.(*ast.StarExpr); ok {
		recv = s.X
	}
	if x, ok := recv.(*ast.IndexExpr); ok {
		recv = x.X
	}
	if id, ok := recv.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// machinePath matches absolute paths of somebody's machine. It is put together
// here so that this file does not match itself.
var machinePath = regexp.MustCompile(`(^|[\s"'=:(` + "`" + `])/(` + strings.Join([]string{"home/[a-z]", "root/[.a-z]", "work/[a-z]", "Users/[A-Za-z]"}, "|") + `)`)

func TestNoMachinePaths(t *testing.T) {
	walk(t, func(path string) {
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(src, 0) >= 0 || strings.Contains(path, "/testdata/fuzz/") {
			return // not text
		}
		n := 0
		for line := range bytes.Lines(src) {
			n++
			if m := machinePath.Find(line); m != nil {
				t.Errorf("%s:%d: %q is a path of one machine", path, n, bytes.TrimSpace(line))
			}
		}
	})
}

// unfinished marks what nobody may have to read in finished code.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

func TestNothingUnfinished(t *testing.T) {
	for _, f := range sources(t) {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if m := unfinished.FindString(c.Text); m != "" {
					t.Errorf("%s: %s; do it, or file an issue and say why it is fine until then", f.fset.Position(c.Pos()), m)
				}
			}
		}
	}
}

func TestModuleNames(t *testing.T) {
	below, _ := filepath.Glob(filepath.Join(root, "tests/*/go.mod"))
	tutorial, _ := filepath.Glob(filepath.Join(root, "handlers/*/go.mod"))
	for _, mod := range append(append(below, tutorial...), filepath.Join(root, "go.mod")) {
		src, err := os.ReadFile(mod)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(src)) {
			if strings.HasPrefix(line, "toolchain") {
				t.Errorf("%s: a toolchain line downloads a compiler on other machines", mod)
			}
		}
	}
	first, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !bytes.HasPrefix(first, []byte("module zamqp\n")) {
		t.Error(fmt.Errorf("go.mod: the module is zamqp: %w", err))
	}
}
