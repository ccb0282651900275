package main

import (
	"bytes"
	"os"
	"testing"
)

// The committed file is what the table says.
func TestGeneratedFileIsCurrent(t *testing.T) {
	want, err := generate(classes)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../method_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Fatal("method_gen.go differs from its table: run \"go generate\" in amqpproto")
	}
}

func TestBadRowsAreRefused(t *testing.T) {
	for _, args := range []string{"name", "name:word"} {
		if _, err := generate([]class{{"c", 1, []method{{name: "m", id: 1, args: args}}}}); err == nil {
			t.Errorf("args %q: no error", args)
		}
	}
}
