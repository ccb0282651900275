package publishertest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/document"
)

// OpenAPI compares the OpenAPI document of a registry with the file testdata/openapi.json of the test's
// package, and fails the test if they differ: what clients see has changed.
// UPDATE_GOLDEN=1 in the environment writes the file, and so does a flag -update that the test declares.
func OpenAPI(t testing.TB, registry *publisher.Registry) {
	t.Helper()
	golden(t, "openapi.json", document.OpenAPI, registry)
}

// AsyncAPI is [OpenAPI] for the AsyncAPI document, testdata/asyncapi.json.
func AsyncAPI(t testing.TB, registry *publisher.Registry) {
	t.Helper()
	golden(t, "asyncapi.json", document.AsyncAPI, registry)
}

// wantsUpdate reports whether the files are to be written: the environment says so, or a flag
// -update that the test has declared.
func wantsUpdate() bool {
	f := flag.Lookup("update")
	return os.Getenv("UPDATE_GOLDEN") != "" || f != nil && f.Value.String() == "true"
}

func golden(t testing.TB, name string, made func(document.Source) ([]byte, error), registry *publisher.Registry) {
	t.Helper()
	got, err := made(document.Of(registry))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if wantsUpdate() {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	switch {
	case err != nil:
		t.Errorf("publishertest: %v: write it by `UPDATE_GOLDEN=1 go test`", err)
	case !bytes.Equal(want, got):
		t.Errorf("publishertest: %s has changed: write it by `UPDATE_GOLDEN=1 go test`, and look at the difference", file)
	}
}
