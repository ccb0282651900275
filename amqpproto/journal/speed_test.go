package journal_test

import (
	"testing"

	"zamqp/amqpproto/journal"
)

func TestAppendDoesNotAllocate(t *testing.T) {
	j, _, _ := open(t, t.TempDir(), journal.Options{})
	head, body := []byte("head"), make([]byte, 256)
	turn := func() {
		for range 100 {
			j.Append(head, body)
		}
		if err := j.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	turn() // makes one batch
	turn() // and the other
	for range 100 {
		j.Append(head, body)
	}
	_ = j.Sync()
	if n := testing.AllocsPerRun(50, func() { j.Append(head, body) }); n != 0 {
		t.Errorf("%v allocations in each Append", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	j, _, _ := open(b, b.TempDir(), journal.Options{})
	head, body := []byte("head"), make([]byte, 256)
	b.SetBytes(int64(len(head) + len(body)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		j.Append(head, body)
		if i%100 == 99 {
			j.Flush()
		}
		if j.Behind() > 1<<20 {
			if err := j.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkRecovery(b *testing.B) {
	dir := b.TempDir()
	j, _, _ := open(b, dir, journal.Options{})
	const records = 200_000
	body := make([]byte, 290)
	for i := range records {
		j.Append(body)
		if i%1000 == 0 {
			if err := j.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	mustClose(b, j)
	b.SetBytes(records * 306)
	for b.Loop() {
		if rep, err := journal.Read(dir, nil, func(uint64, []byte) error { return nil }); err != nil || rep.Records != records {
			b.Fatal(rep, err)
		}
	}
}
