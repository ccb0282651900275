// Package guide_test runs what the guide shows: the Go code of a page is in the test of
// that page, line by line.
package guide_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fence is a block of Go in a page.
var fence = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestSnippets: each page with a test here shows only code of that test.
func TestSnippets(t *testing.T) {
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		page := strings.TrimSuffix(test, "_test.go") + ".md"
		if page == "guide.md" {
			continue
		}
		code, err := os.ReadFile(test)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join("../../docs/guide", page))
		if err != nil {
			t.Fatal(err)
		}
		snippets := fence.FindAllStringSubmatch(string(text), -1)
		if len(snippets) == 0 {
			t.Errorf("%s shows no code", page)
		}
		for _, m := range snippets {
			if !strings.Contains(string(code), m[1]) {
				t.Errorf("docs/guide/%s shows code that tests/guide/%s does not have:\n%s", page, test, m[1])
			}
		}
	}
}
