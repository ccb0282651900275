package tidy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// read returns a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

// link is a link in Markdown: its target, which may be empty, and its anchor.
var link = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)

// blocks are blocks of code, and fences also code within a line: nothing in them is a link.
var (
	blocks = regexp.MustCompile("(?s)\n```.*?\n```")
	fences = regexp.MustCompile("(?s)\n```.*?\n```|`[^`\n]*`")
)

// heading is a heading in Markdown.
var heading = regexp.MustCompile(`(?m)^#+ (.*)$`)

// notInAnchor is what the anchor of a heading leaves out.
var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)

// hasAnchor reports whether a page has a heading with this anchor.
func hasAnchor(page, anchor string) bool {
	for _, m := range heading.FindAllStringSubmatch(blocks.ReplaceAllString(page, ""), -1) {
		if strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}

// TestLinks: links inside the repository lead to existing files and headings.
func TestLinks(t *testing.T) {
	walk(t, func(path string) {
		if filepath.Ext(path) != ".md" {
			return
		}
		for _, m := range link.FindAllStringSubmatch(fences.ReplaceAllString(read(t, path), ""), -1) {
			to := path
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if m[1] != "" {
				to = filepath.ToSlash(filepath.Join(dirOf(path), m[1]))
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(to))); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			} else if m[2] != "" && filepath.Ext(to) == ".md" && !hasAnchor(read(t, to), m[2]) {
				t.Errorf("%s links to %s#%s, and there is no such heading", path, m[1], m[2])
			}
		}
	})
}

// section returns the part of a page below a heading, up to the next one.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("there is no heading %q", heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// repository is a dependency as README links to it.
var repository = regexp.MustCompile(`https://(?:pkg\.go\.dev/)?((?:github\.com/[\w.-]+|golang\.org)/[\w.-]+)`)

// TestBuiltOn: README says what each dependency of the server does, and names none
// that is gone. evio is there for what it has taught.
func TestBuiltOn(t *testing.T) {
	built := section(t, read(t, "README.md"), "Built on")
	direct := map[string]bool{}
	for _, f := range sources(t) {
		if f.isTest() || strings.HasPrefix(f.path, "tests/") || ownModule(f.path) {
			continue
		}
		for _, spec := range f.syntax.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); strings.Contains(path, ".") {
				parts := strings.Split(path, "/")
				owner := strings.Join(parts[:2], "/")
				direct[owner] = true
				if !strings.Contains(built, owner) {
					t.Errorf("README, Built on: %s (imported by %s) is missing", owner, f.path)
				}
			}
		}
	}
	for _, m := range repository.FindAllStringSubmatch(built, -1) {
		if owner := dirOf(m[1]); !direct[owner] && !direct[m[1]] && m[1] != "github.com/tidwall/evio" {
			t.Errorf("README, Built on: nobody imports %s", m[1])
		}
	}
}

// sourcePath is a file or folder of the repository as pages name it.
var sourcePath = regexp.MustCompile("`([a-z0-9][a-z0-9_]*(?:/[a-z0-9_.]+)+|[a-z0-9][a-z0-9_]*\\.(?:go|toml))`")

// pagesOfPlaces are the pages that tell where things are.
var pagesOfPlaces = []string{"docs/ARCHITECTURE.md", "CONTRIBUTING.md"}

// TestPlaces: the files and folders that those pages name are there. A path may
// leave out its beginning, as broker/route.go.
func TestPlaces(t *testing.T) {
	var known []string
	walk(t, func(path string) { known = append(known, "/"+path) })
	for _, page := range pagesOfPlaces {
		for _, m := range sourcePath.FindAllStringSubmatch(read(t, page), -1) {
			want := "/" + m[1]
			if strings.HasPrefix(want, "/bin/") {
				continue // built
			}
			if !slices.ContainsFunc(known, func(path string) bool {
				return strings.HasSuffix(path, want) || strings.Contains(path, want+"/")
			}) {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
}

// TestArchitectureHasAllPackages holds the picture of the packages in the docs to the table of
// TestArrows: each package is on the line of its level.
func TestArchitectureHasAllPackages(t *testing.T) {
	_, picture, _ := strings.Cut(section(t, read(t, "docs/ARCHITECTURE.md"), "Packages"), "\n```\n")
	picture, _, _ = strings.Cut(picture, "\n```")
	level, drawn := -1, map[string]int{}
	for line := range strings.Lines(picture) {
		words := strings.Fields(line)
		if line[0] >= '0' && line[0] <= '9' {
			level, words = int(line[0]-'0'), words[1:]
		}
		for _, word := range words {
			drawn[word] = level
		}
	}
	for _, r := range rows {
		if r.dir == "." || r.dir == "amqpproto/gen" || strings.Contains(r.dir, "*") || strings.HasPrefix(r.dir, "tests/") {
			continue
		}
		if at, ok := drawn[r.dir]; !ok || at != r.level {
			t.Errorf("docs/ARCHITECTURE.md: the picture does not show %s at level %d", r.dir, r.level)
		}
	}
}

// waysToAdd are the rows that CONTRIBUTING has at least.
var waysToAdd = []string{"a configuration key", "an option of consumers or producers", "an AMQP method", "an exchange type",
	"a source of calls", "a command", "a codec", "a metric"}

// TestWhereDoIAdd: CONTRIBUTING says for each of them which files to touch.
// TestPlaces looks for those files.
func TestWhereDoIAdd(t *testing.T) {
	table := section(t, read(t, "CONTRIBUTING.md"), "Where do I add …")
	for _, way := range waysToAdd {
		_, row, ok := strings.Cut(table, "\n| "+way+" | ")
		row, _, _ = strings.Cut(row, "\n")
		if n := len(sourcePath.FindAllString(row, -1)); !ok || n < 2 {
			t.Errorf("CONTRIBUTING.md: the row for %s names %d files", way, n)
		}
	}
}
