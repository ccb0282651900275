package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	const events = `# a line that is no event
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"=== RUN   TestA/sub\n"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"    a_test.go:7: 100%d wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA/sub"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:9: no broker\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestC"}
{"Action":"pass","Package":"p","Test":"TestC"}
{"Action":"run","Package":"p","Test":"TestD"}
{"Action":"fail","Package":"p"}
{"Action":"pass","Package":"q"}
{"Action":"skip","Package":"no-tests"}
{"Action":"output","Package":"r","Output":"panic: outside a test\n"}
{"Action":"fail","Package":"r"}
`
	tally, o := newTally(), &outcome{}
	tally.read(strings.NewReader(events))
	tally.into(o)
	// TestA, its subtest, TestD that never ended, and package r.
	if o.passed != 1 || o.failed != 4 || o.skipped != 1 {
		t.Errorf("%d passed, %d failed, %d skipped", o.passed, o.failed, o.skipped)
	}
	for _, want := range []string{"100%d wrong", "p TestD", "panic: outside a test"} {
		if !strings.Contains(o.report.String(), want) {
			t.Errorf("%q is missing from the report:\n%s", want, o.report.String())
		}
	}
	if len(o.notes) != 1 || !strings.Contains(o.notes[0], "TestB: b_test.go:9: no broker") {
		t.Errorf("notes: %q", o.notes)
	}
}

func TestTallyOfABrokenBuild(t *testing.T) {
	const events = `{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:1: syntax error\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}
`
	tally, o := newTally(), &outcome{}
	tally.read(strings.NewReader(events))
	tally.into(o)
	if o.failed != 1 || !strings.Contains(o.report.String(), "syntax error") {
		t.Errorf("%d failed:\n%s", o.failed, o.report.String())
	}
}
