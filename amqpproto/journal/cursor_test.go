package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zamqp/amqpproto/journal"
)

// recordText is what record n of these tests holds.
func recordText(n uint64) []byte {
	return append(fmt.Appendf(nil, "record %d ", n), bytes.Repeat([]byte{byte(n)}, int(n*37%5000))...)
}

func TestCursorReadsBehindTheWriter(t *testing.T) {
	j, _, err := journal.Open(t.TempDir(), journal.Options{SegmentSize: 50_000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	c := j.Cursor(1)
	defer c.Close()
	want := uint64(1)
	drain := func() {
		for {
			seq, rec, err := c.Next(j.Synced())
			if err != nil {
				t.Fatal(err)
			}
			if seq == 0 {
				break
			}
			if seq != want || !bytes.Equal(rec, recordText(seq)) {
				t.Fatalf("record %d, want %d: %.20q", seq, want, rec)
			}
			want++
		}
		if want != j.Synced()+1 {
			t.Fatalf("read up to %d, %d are on disk", want-1, j.Synced())
		}
	}
	drain() // of nothing
	for n := uint64(1); n < 500; n++ {
		j.Append(recordText(n))
		if n%7 == 0 {
			if err := j.Sync(); err != nil {
				t.Fatal(err)
			}
			drain()
		}
		if n%100 == 0 {
			c.Close() // it goes on where it was
		}
	}
	big := bytes.Repeat([]byte("x"), 1<<20)
	j.Append(big)
	if err := j.Sync(); err != nil {
		t.Fatal(err)
	}
	for {
		seq, rec, err := c.Next(j.Synced())
		if err != nil {
			t.Fatal(err)
		}
		if seq == 500 {
			if !bytes.Equal(rec, big) {
				t.Error("a record longer than a read is another one")
			}
			break
		}
	}
	if len(j.Segments()) < 3 {
		t.Errorf("%d segments: the test wants several", len(j.Segments()))
	}
	for _, from := range []uint64{1, 2, 63, 64, 250, 499, 500} {
		c := j.Cursor(from)
		if seq, _, err := c.Next(j.Synced()); err != nil || seq != from {
			t.Errorf("a cursor from %d begins at %d, %v", from, seq, err)
		}
		c.Close()
	}
	if seq, _, err := j.Cursor(501).Next(j.Synced()); seq != 0 || err != nil {
		t.Errorf("behind the end: %d, %v", seq, err)
	}
}

func TestCursorSkipsDamage(t *testing.T) {
	dir := t.TempDir()
	j, _, err := journal.Open(dir, journal.Options{SegmentSize: 20_000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for n := uint64(1); n <= 100; n++ {
		j.Append(recordText(n))
		if err := j.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	second, third := j.Segments()[1].First, j.Segments()[2].First
	name := filepath.Join(dir, fmt.Sprintf("%016x.journal", second))
	octets, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	octets[100] ^= 1
	if err := os.WriteFile(name, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	c := j.Cursor(1)
	defer c.Close()
	var seen []uint64
	var failed []string
	for range 200 {
		seq, _, err := c.Next(j.Synced())
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		if seq == 0 {
			break
		}
		seen = append(seen, seq)
	}
	if len(failed) != 1 || !strings.Contains(failed[0], fmt.Sprintf("to %d cannot be read", third-1)) {
		t.Errorf("errors %q", failed)
	}
	if seen[len(seen)-1] != 100 || seen[len(seen)-1-int(100-third)] != third {
		t.Errorf("read %v, the third segment begins at %d", seen, third)
	}
}
