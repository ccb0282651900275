// Command dial shows that evio cannot open a connection: it prints every
// exported function of the package and every method that a server, a
// connection or the events have. None of them dials or adopts a socket.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

func main() {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tidwall/evio").Output()
	if err != nil {
		log.Fatal("go list: ", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*.go"))
	if err != nil || len(files) == 0 {
		log.Fatal("no source of evio: ", err)
	}
	found := make(map[string][]string)
	for _, name := range files {
		// evio_std.go repeats the package for systems without a poller.
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "evio_other.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			log.Fatal(err)
		}
		collect(file, found)
	}
	var kinds []string
	dials := false
	for kind, names := range found {
		kinds = append(kinds, kind)
		dials = dials || strings.Contains(strings.ToLower(strings.Join(names, " ")), "dial")
	}
	sort.Strings(kinds)
	for _, kind := range kinds {
		names := found[kind]
		sort.Strings(names)
		fmt.Printf("%-18s %s\n", kind, strings.Join(names, " "))
	}
	fmt.Println("a way to dial out:", dials)
}

// collect adds the exported functions of one file, and what its exported
// structs and interfaces offer.
func collect(file *ast.File, found map[string][]string) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.IsExported() {
				found["functions"] = append(found["functions"], d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok && t.Name.IsExported() {
					collectType(t, found)
				}
			}
		}
	}
}

func collectType(t *ast.TypeSpec, found map[string][]string) {
	var fields *ast.FieldList
	switch v := t.Type.(type) {
	case *ast.InterfaceType:
		fields = v.Methods
	case *ast.StructType:
		fields = v.Fields
	default:
		return
	}
	for _, field := range fields.List {
		for _, name := range field.Names {
			if name.IsExported() {
				found[t.Name.Name] = append(found[t.Name.Name], name.Name)
			}
		}
	}
}
