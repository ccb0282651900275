package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"zamqp/amqpproto/journal"
)

// open opens dir and returns the records that are in it.
func open(t testing.TB, dir string, o journal.Options) (*journal.Journal, journal.Report, []string) {
	t.Helper()
	var recs []string
	next := uint64(0)
	j, rep, err := journal.Open(dir, o, func(seq uint64, rec []byte) error {
		if seq <= next {
			t.Errorf("record %d after %d", seq, next)
		}
		next = seq
		recs = append(recs, string(rec))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, rep, recs
}

func mustClose(t testing.TB, j *journal.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func record(i int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("record %d ", i)), 1+i%7)
}

func TestRecordsComeBackInOrder(t *testing.T) {
	dir := t.TempDir()
	n := 0
	for round := range 5 {
		j, rep, recs := open(t, dir, journal.Options{SegmentSize: 2000})
		if len(recs) != n || rep.Records != n || rep.Torn != 0 || rep.Damage != nil {
			t.Fatalf("round %d: %d records, report %+v; want %d", round, len(recs), rep, n)
		}
		for i, r := range recs {
			if r != string(record(i)) {
				t.Fatalf("record %d is %q", i, r)
			}
		}
		for range 50 {
			r := record(n)
			n++
			if seq := j.Append(r[:3], r[3:]); seq != uint64(n) {
				t.Fatalf("number %d, want %d", seq, n)
			}
			if n%3 == 0 {
				j.Flush()
			}
		}
		if err := j.Sync(); err != nil || j.Synced() != uint64(n) {
			t.Fatal(err, j.Synced())
		}
		mustClose(t, j)
	}
}

func TestReleaseRemovesWholeSegments(t *testing.T) {
	dir := t.TempDir()
	heads := 0
	var j *journal.Journal
	j, _, _ = open(t, dir, journal.Options{SegmentSize: 300, OnSegment: func() {
		heads++
		if j != nil {
			j.Append([]byte("head"))
		}
	}})
	for i := range 100 {
		j.Append(record(i))
		if err := j.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	before := j.Segments()[5].First
	j.Release(before + 1)
	if err := j.Sync(); err != nil {
		t.Fatal(err)
	}
	if first := j.Segments()[0].First; first != before {
		t.Fatalf("begins at %d, want %d", first, before)
	}
	mustClose(t, j)
	_, rep, recs := open(t, dir, journal.Options{})
	if rep.First != before || rep.Damage != nil || recs[0] != "head" {
		t.Fatalf("%+v %q", rep, recs[0])
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	j, _, _ := open(t, dir, journal.Options{})
	if _, _, err := journal.Open(dir, journal.Options{}, nil); !errors.Is(err, journal.ErrLocked) {
		t.Error(err)
	}
	if _, err := journal.Read(dir, nil, nil); !errors.Is(err, journal.ErrLocked) {
		t.Error(err)
	}
	j.Append([]byte("one"))
	mustClose(t, j)
	rep, err := journal.Read(dir, nil, nil)
	if err != nil || rep.Records != 1 {
		t.Error(rep, err)
	}
}

// TestPieces: a record of pieces is that of one piece, whichever of them are lent.
func TestPieces(t *testing.T) {
	dir := t.TempDir()
	j, _, _ := open(t, dir, journal.Options{SegmentSize: 2000})
	parts := []string{"one ", "two ", "", "three ", "four"}
	whole := "one two three four"
	n := 0
	for mask := range 1 << len(parts) {
		pieces := make([]journal.Piece, len(parts))
		for i, p := range parts {
			pieces[i] = journal.Piece{Octets: []byte(p), Lent: mask>>i&1 == 1}
		}
		j.Append(record(mask))
		n += 2
		if seq := j.AppendPieces(pieces); seq != uint64(n) {
			t.Fatalf("number %d, want %d", seq, n)
		}
		if mask%3 == 0 {
			j.Flush()
		}
	}
	if err := j.Sync(); err != nil || j.Synced() != uint64(n) {
		t.Fatal(err, j.Synced())
	}
	size := j.Size()
	mustClose(t, j)
	again, rep, recs := open(t, dir, journal.Options{SegmentSize: 2000})
	if len(recs) != n || rep.Torn != 0 || rep.Damage != nil || again.Size() != size {
		t.Fatalf("%d records of %d octets, report %+v; want %d of %d", len(recs), again.Size(), rep, n, size)
	}
	for i := 1; i < n; i += 2 {
		if recs[i] != whole || recs[i-1] != string(record(i/2)) {
			t.Errorf("record %d is %q", i+1, recs[i])
		}
	}
}
