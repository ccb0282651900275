package tidy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "zamqp"

// Third-party packages by the short names that the table of packages uses.
const (
	xsys       = "golang.org/x/sys/"
	vocabulary = "github.com/streadway/amqp"
	msgpack    = "github.com/vmihailenco/msgpack/v5"
	zerolog    = "github.com/rs/zerolog"
	bcrypt     = "golang.org/x/crypto/bcrypt"
	ogrek      = "github.com/kisielk/og-rek"
	rate       = "golang.org/x/time/rate"
	charsets   = "golang.org/x/text/encoding"
	brotli     = "github.com/andybalholm/brotli"
	xxhash     = "github.com/cespare/xxhash/v2"
	zstd       = "github.com/klauspost/compress/zstd"
	cron       = "github.com/robfig/cron/v3"
	toml       = "github.com/pelletier/go-toml/v2"
	validator  = "github.com/go-playground/validator/v10"
	translator = "github.com/go-playground/"
	otel       = "go.opentelemetry.io/"
	protobuf   = "google.golang.org/protobuf/proto"
	jsonschema = "github.com/invopop/jsonschema"
	cobra      = "github.com/spf13/cobra"
	pflag      = "github.com/spf13/pflag"
)

// row is a package or a folder of packages, its level, and what it may import apart
// from the standard library. Names without a dot are packages of ours, exactly;
// names with one are third-party packages and all below them.
type row struct {
	dir   string
	level int
	may   []string
}

var rows = []row{
	{"loop", 1, []string{"loop/histogram", xsys}},
	{"loop/histogram", 0, nil},
	{"loop/coro", 0, nil},
	{"amqpproto", 0, []string{vocabulary}},
	{"amqpproto/gen", 0, nil},
	{"publisher/http1", 0, nil},
	{"publisher/websocket", 0, nil},
	{"publisher/certificate", 0, nil},
	{"amqpproto/journal", 0, nil},
	{"amqpproto/endpoint", 1, []string{"amqpproto"}},
	{"amqpproto/client", 2, []string{"amqpproto", "amqpproto/endpoint", "loop/histogram", vocabulary}},
	{"amqpproto/broker", 2, []string{"amqpproto", "amqpproto/endpoint", "amqpproto/journal", "amqpproto/broker/*", vocabulary, bcrypt}},
	{"amqpproto/broker/arena", 0, nil},
	{"amqpproto/broker/backlog", 0, nil},
	{"amqpproto/broker/topic", 0, nil},
	{"amqpproto/broker/store", 1, []string{"amqpproto", "amqpproto/journal"}},
	{"publisher/schedule", 0, []string{cron}},
	{"publisher/pickle", 0, []string{ogrek}},
	{"publisher/crashpoint", 0, nil},
	{"publisher/binding", 0, []string{validator, translator}},
	{"publisher", 1, []string{"loop/coro", "publisher/crashpoint", "loop/histogram", "publisher/outbox", "amqpproto", "publisher/http1", "publisher/websocket", "publisher/schedule", "publisher/binding", "publisher/pickle", validator, vocabulary, msgpack, charsets, brotli, zstd, xxhash, zerolog}},
	{"publisher/outbox", 0, []string{zerolog}},
	{"publisher/spool", 1, []string{"amqpproto/journal"}},
	{"publisher/dedupe", 1, []string{"amqpproto/journal"}},
	{"publisher/inhand", 0, []string{xsys}},
	{"publisher/publishertest", 4, []string{"publisher", "publisher/document", "publisher/websocket", "publisher/clockdoor", "amqpproto", zerolog}},
	{"publisher/httpdoor", 3, []string{"publisher", "publisher/http1", "publisher/websocket"}},
	{"publisher/amqpdoor", 3, []string{"publisher", "publisher/crashpoint", "amqpproto", "publisher/outbox", "publisher/spool", "publisher/inhand", "publisher/dedupe", "amqpproto/client", "amqpproto/journal", rate, zerolog}},
	{"publisher/clockdoor", 3, []string{"publisher", "publisher/schedule", zerolog}},
	{"publisher/document", 3, []string{"publisher", "publisher/binding", jsonschema}},
	{"publisher/tracing", 2, []string{"publisher", "amqpproto", zerolog, otel, protobuf}},
	{"publisher/config", 3, []string{"publisher", "publisher/tracing", "publisher/spool", "publisher/http1", "publisher/certificate", "amqpproto", "amqpproto/client", "amqpproto/broker", vocabulary, toml, bcrypt}},
	{"publisher/dial", 4, []string{"publisher/config", "amqpproto/client", "loop"}},
	{"publisher/logging", 4, []string{"publisher/config", "publisher", zerolog}},
	{"publisher/command", 5, []string{"publisher/config", "publisher/document", "publisher/outbox", "publisher/certificate", "publisher/dial", "publisher/logging", "publisher", "publisher/amqpdoor", "publisher/spool",
		"amqpproto", "amqpproto/client", "amqpproto/journal", "loop", vocabulary, zerolog, cobra, pflag, bcrypt, xsys}},
	{"publisher/app", 6, []string{"publisher/config", "publisher/document", "publisher/outbox", "publisher/dial", "publisher/logging", "publisher/command", "publisher", "publisher/httpdoor",
		"publisher/amqpdoor", "publisher/clockdoor", "publisher/http1", "publisher/certificate", "publisher/spool", "publisher/inhand", "publisher/dedupe", "publisher/tracing", "amqpproto", "amqpproto/client", "amqpproto/broker",
		"amqpproto/journal", "loop", zerolog, xsys}},
	{"handlers", 5, []string{"handlers/*"}},
	{"handlers/*", 4, []string{"publisher", "third-party"}},
	{".", 7, []string{"publisher/app", "handlers"}},
	{"tests/kit/wiretest", 0, nil},
	{"tests/*", 8, []string{"*"}},
}

func rowOf(dir string) (row, bool) {
	var wild row
	for _, r := range rows {
		if r.dir == dir {
			return r, true
		}
		if prefix, ok := strings.CutSuffix(r.dir, "*"); ok && strings.HasPrefix(dir, prefix) {
			wild = r
		}
	}
	return wild, wild.dir != ""
}

// may reports whether a package of row r may import path.
func (r row) mayImport(path string) bool {
	ours, local := strings.CutPrefix(path, module+"/")
	first, _, _ := strings.Cut(path, "/")
	if !local && path != "C" && !strings.Contains(first, ".") {
		return true // the standard library
	}
	for _, m := range r.may {
		prefix, wild := strings.CutSuffix(m, "*")
		switch {
		case m == "*":
			return true
		case m == "third-party":
			if !local {
				return true
			}
		case local && (m == ours || wild && strings.HasPrefix(ours, prefix)):
			return true
		case !local && strings.Contains(m, ".") && strings.HasPrefix(path, m):
			return true
		}
	}
	return false
}

// testMayImport is wider: a test may also import its own package, packages below
// it, and those made for tests, but nothing from above.
func (r row) testMayImport(path string) bool {
	ours, local := strings.CutPrefix(path, module+"/")
	if !local || strings.HasPrefix(ours, "tests/") || ours == "publisher/publishertest" {
		return true
	}
	to, ok := rowOf(ours)
	return r.mayImport(path) || ok && to.level <= r.level
}

func TestArrows(t *testing.T) {
	for _, f := range sources(t) {
		if ownModule(f.path) {
			continue // what it requires stays out of the server's go.mod
		}
		r, ok := rowOf(f.dir())
		if !ok {
			t.Errorf("%s: %s has no row in this table; give it one, and a place in docs/ARCHITECTURE.md", f.path, f.dir())
			continue
		}
		for _, spec := range f.syntax.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if f.isTest() && r.testMayImport(path) || !f.isTest() && r.mayImport(path) {
				continue
			}
			t.Errorf("%s: %s may not import %s; an arrow goes to a lower level, and from %s to: %s",
				f.fset.Position(spec.Pos()), f.dir(), path, r.dir, strings.Join(append([]string{"the standard library"}, r.may...), ", "))
		}
	}
}

// TestArrowsGoDown holds the table to its own levels.
func TestArrowsGoDown(t *testing.T) {
	for _, r := range rows {
		for _, m := range r.may {
			for _, to := range rows {
				if (row{may: []string{m}}).mayImport(module+"/"+to.dir) && to.level >= r.level && m != "*" {
					t.Errorf("%s, on level %d, may import %s, on level %d", r.dir, r.level, to.dir, to.level)
				}
			}
		}
	}
}

// TestPermissionsAreUsed keeps the table short: a package that nobody imports any more must
// not be imported again without a decision.
func TestPermissionsAreUsed(t *testing.T) {
	used := map[string]bool{} // folder, blank, permission
	for _, f := range sources(t) {
		r, ok := rowOf(f.dir())
		if !ok || f.isTest() {
			continue
		}
		for _, spec := range f.syntax.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			for _, m := range r.may {
				if (row{may: []string{m}}).mayImport(path) && !(row{}).mayImport(path) { // not of the standard library
					used[r.dir+" "+m] = true
				}
			}
		}
	}
	for _, r := range rows {
		for _, m := range r.may {
			if !used[r.dir+" "+m] {
				t.Errorf("%s may import %s and does not: take it from the table", r.dir, m)
			}
		}
	}
}

// ownModule tells that path belongs to a module below tests or handlers, such as tests/bench.
func ownModule(path string) bool {
	parts := strings.Split(path, "/")
	if len(parts) < 3 || parts[0] != "tests" && parts[0] != "handlers" {
		return false
	}
	_, err := os.Stat(filepath.Join(root, parts[0], parts[1], "go.mod"))
	return err == nil
}

// TestArrowsAreRefused keeps the table honest: each of these must be an error.
func TestArrowsAreRefused(t *testing.T) {
	for _, arrow := range [][2]string{
		{"loop", "zamqp/amqpproto"},
		{"loop", "github.com/rs/zerolog"},
		{"amqpproto", "zamqp/loop"},
		{"amqpproto/endpoint", "zamqp/amqpproto/client"},
		{"amqpproto/client", "zamqp/publisher"},
		{"amqpproto/broker/store", "zamqp/amqpproto/broker"},
		{"publisher/http1", "zamqp/publisher"},
		{"publisher", "zamqp/loop"},
		{"publisher", "zamqp/amqpproto/client"},
		{"publisher/httpdoor", "zamqp/loop"},
		{"publisher/httpdoor", "zamqp/publisher/amqpdoor"},
		{"publisher/amqpdoor", "zamqp/publisher/http1"},
		{"publisher/config", "zamqp/loop"},
		{"publisher/config", "zamqp/publisher/dial"},
		{"publisher/dial", "zamqp/publisher/command"},
		{"publisher/command", "zamqp/publisher/app"},
		{"publisher/command", "zamqp/publisher/httpdoor"},
		{"publisher/command", "zamqp/amqpproto/broker"},
		{"handlers/hello", "zamqp/publisher/app"},
		{"handlers/hello", "zamqp/loop/coro"},
		{"handlers", "zamqp/publisher"},
		{".", "zamqp/loop"},
		{"tests/kit/wiretest", "zamqp/publisher"},
	} {
		if r, ok := rowOf(arrow[0]); !ok || r.mayImport(arrow[1]) {
			t.Errorf("%s importing %s went through", arrow[0], arrow[1])
		}
	}
	for _, arrow := range [][2]string{
		{"amqpproto", "zamqp/amqpproto/client"},
		{"publisher", "zamqp/publisher/app"},
	} {
		if r, _ := rowOf(arrow[0]); r.testMayImport(arrow[1]) {
			t.Errorf("a test of %s importing %s went through", arrow[0], arrow[1])
		}
	}
	if !slices.ContainsFunc(rows, func(r row) bool { return r.mayImport("zamqp/loop") }) {
		t.Error("nobody may import loop")
	}
}

// TestMainIsThin: the binary's own file lists handlers and starts the app.
func TestMainIsThin(t *testing.T) {
	for _, f := range sources(t) {
		if f.path == "main.go" && f.fset.Position(f.syntax.End()).Line > 40 {
			t.Errorf("main.go: blank-imports the handlers and calls app.Main; nothing else")
		}
	}
}
