package journal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zamqp/amqpproto/journal"
	"zamqp/tests/kit/crashfs"
)

// small is a journal of three segments with records of all sizes, in batches of
// three, as files in memory. The last file's name comes with it.
func small(t testing.TB, segmentSize int64) (fs *crashfs.FS, records int, last string) {
	t.Helper()
	fs = crashfs.New()
	j, _, err := journal.Open("d", journal.Options{FS: fs, SegmentSize: segmentSize}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range uint64(30) {
		j.Append(numbered(i+1, rng))
		if i%3 == 2 {
			if err := j.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	names := j.Segments()
	return fs, 30, fmt.Sprintf("d/%016x.journal", names[len(names)-1].First)
}

// recovered opens a journal and returns the numbers in it. Afterwards the journal
// has to be as good as any other one.
func recovered(t testing.TB, fs *crashfs.FS, what string) ([]uint64, journal.Report, error) {
	t.Helper()
	var got []uint64
	j, rep, err := journal.Open("d", journal.Options{FS: fs, SegmentSize: 2000}, func(seq uint64, rec []byte) error {
		if n := len(got); n > 0 && seq <= got[n-1] {
			t.Errorf("%s: record %d after %d", what, seq, got[n-1])
		}
		got = append(got, seq)
		return checkNumbered(seq, rec)
	})
	if err != nil {
		return got, rep, err
	}
	if len(got) != rep.Records {
		t.Errorf("%s: %d records, reported are %d", what, len(got), rep.Records)
	}
	seq := j.Last() + 1
	j.Append(binary.LittleEndian.AppendUint64(nil, seq))
	if err := j.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	again, err := journal.Read("d", fs, func(seq uint64, rec []byte) error { return checkNumbered(seq, rec) })
	if err != nil || again.Records != rep.Records+1 || again.Last != seq || again.Torn != 0 {
		t.Errorf("%s: after %+v and one more record: %+v, %v", what, rep, again, err)
	}
	return got, rep, nil
}

func TestCutAtEveryOctet(t *testing.T) {
	fs, records, last := small(t, 2000)
	whole := fs.Files[last].Data
	before := -1
	for size := range len(whole) + 1 {
		cut := fs.Kill()
		cut.Files[last].Data = cut.Files[last].Data[:size]
		what := fmt.Sprintf("%d octets of %d", size, len(whole))
		got, rep, err := recovered(t, cut, what)
		if err != nil || len(rep.Damage) > 0 {
			t.Fatalf("%s: %+v %v", what, rep, err)
		}
		if len(got) < before || len(got) > records || len(got) > 0 && got[len(got)-1] != uint64(len(got)) {
			t.Fatalf("%s: %d records, %d before", what, len(got), before)
		}
		before = len(got)
	}
	if before != records {
		t.Errorf("%d records of the whole file, want %d", before, records)
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	fs, records, last := small(t, 2000)
	for name, f := range fs.Files {
		for at := range f.Data {
			bad := fs.Kill()
			bad.Files[name].Data[at] ^= 1 << (at % 8)
			what := fmt.Sprintf("%s: octet %d", name, at)
			got, rep, err := recovered(t, bad, what)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			switch lost := records - len(got); {
			case lost == 0 && len(rep.Damage) == 0 && name != "d/identity" && at >= 28 && at < 32:
				// the head's unused octets
			case lost == 0 && len(rep.Damage) == 0 && name == "d/identity":
			case lost == 0 && len(rep.Damage) == 1 && rep.Damage[0].Reason == "broken head":
			case lost == 1 && len(rep.Damage) == 1 && rep.Damage[0].Lost == 1 && !slices.Contains(got, rep.Damage[0].First):
			case lost <= 3 && len(rep.Damage) == 0 && rep.Torn > 0 && name == last:
				// in the last batch it cannot be told from a tear
			default:
				t.Fatalf("%s: %d lost, %+v", what, lost, rep)
			}
		}
	}
}

// TestHostileBodies: a record that contains whole records in this journal's format does not
// turn into those when it is damaged.
func TestHostileBodies(t *testing.T) {
	fs := crashfs.New()
	j, _, err := journal.Open("d", journal.Options{FS: fs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := small(t, 1<<20) // of another salt
	var body []byte
	for _, f := range other.Files {
		if len(f.Data) > len(body) {
			body = f.Data
		}
	}
	for range 3 {
		j.Append(body)
		if err := j.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	fs.Files["d/0000000000000001.journal"].Data[40] ^= 1
	rep, err := journal.Read("d", fs, func(seq uint64, rec []byte) error {
		if !bytes.Equal(rec, body) {
			t.Errorf("record %d was never appended", seq)
		}
		return nil
	})
	if err != nil || rep.Records != 2 || len(rep.Damage) != 1 || rep.Damage[0].Lost != 1 {
		t.Errorf("%+v %v", rep, err)
	}
}

func TestAMissingSegmentIsReported(t *testing.T) {
	fs, _, _ := small(t, 2000)
	var names []string
	for name := range fs.Files {
		if strings.HasSuffix(name, ".journal") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	delete(fs.Files, names[1])
	got, rep, err := recovered(t, fs, "missing")
	if err != nil || len(rep.Damage) != 1 || int(rep.Damage[0].Lost)+len(got) != 30 {
		t.Errorf("%d records, %+v, %v", len(got), rep, err)
	}
}

func TestWithoutAnyHead(t *testing.T) {
	fs, _, _ := small(t, 1<<20)
	for _, f := range fs.Files {
		f.Data[0] ^= 1
	}
	if _, _, err := recovered(t, fs, "no head"); err == nil || !strings.Contains(err.Error(), "whole head") {
		t.Error(err)
	}
}

// TestFinalFailures makes each step fail in turn with a final error: the directory is gone,
// or the error is unknown.
func TestFinalFailures(t *testing.T) {
	for _, cause := range []error{syscall.ENOENT, errors.New("whatever")} {
		for _, short := range []bool{false, true} {
			for at := 1; failAtStep(t, at, cause, short); at++ {
			}
		}
	}
}

// failAtStep is false when there is no such step any more.
func failAtStep(t *testing.T, at int, cause error, short bool) bool {
	fs := crashfs.New()
	fs.FailAt, fs.Fail, fs.Short = at, cause, short
	var told error
	var synced uint64
	tells := 0
	o := journal.Options{FS: fs, SegmentSize: 1000,
		OnSynced: func(seq uint64) {
			if told != nil {
				t.Errorf("step %d: %d was reported after the failure", at, seq)
			}
			synced = seq
		},
		OnError: func(err error) { told = err; tells++ },
	}
	j, _, err := journal.Open("d", o, nil)
	if err != nil {
		if !errors.Is(err, cause) {
			t.Errorf("step %d: %v", at, err)
		}
		return true
	}
	for i := range uint64(20) {
		if seq := j.Append(binary.LittleEndian.AppendUint64(nil, i+1), make([]byte, 100)); seq != i+1 {
			t.Fatalf("step %d: number %d", at, seq)
		}
		err := j.Sync()
		if fs.Steps >= at {
			fs.FailAt = 0 // all would be well from here on
		}
		if (err != nil) != (told != nil) || j.Err() != err {
			t.Fatalf("step %d: %v, told %v", at, err, told)
		}
		if i == 15 {
			j.Release(10)
		}
	}
	if told == nil {
		j.Close()
		return fs.Steps >= at
	}
	if !errors.Is(told, cause) || tells != 1 {
		t.Errorf("step %d: told %d times: %v", at, tells, told)
	}
	if err := j.Close(); !errors.Is(err, cause) {
		t.Errorf("step %d: close says %v", at, err)
	}
	rep, err := journal.Read("d", fs.Kill(), nil)
	if err != nil || rep.Last < synced || len(rep.Damage) > 0 {
		t.Errorf("step %d: %d were synced: %+v, %v", at, synced, rep, err)
	}
	return true
}

// FuzzRecovery opens a journal whose only segment has been written by somebody
// else.
func FuzzRecovery(f *testing.F) {
	fs, _, last := small(f, 1<<20)
	head := fs.Files["d/identity"].Data
	whole := fs.Files[last].Data
	f.Add(whole)
	f.Add(whole[:500])
	f.Add(whole[:32])
	f.Add([]byte{})
	f.Add(slices.Concat(whole[:700], make([]byte, 600), whole[700:]))
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := crashfs.New()
		fs.Files["d/identity"] = &crashfs.File{Data: slices.Clone(head)}
		fs.Files["d/0000000000000001.journal"] = &crashfs.File{Data: data}
		next := uint64(1)
		size := 0
		j, rep, err := journal.Open("d", journal.Options{FS: fs}, func(seq uint64, rec []byte) error {
			if seq < next {
				t.Errorf("record %d where %d is next", seq, next)
			}
			next = seq + 1
			size += len(rec)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if size > len(data) {
			t.Errorf("%d octets of records from %d", size, len(data))
		}
		j.Append([]byte("more"))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := journal.Read("d", fs, nil)
		if err != nil || again.Records != rep.Records+1 || again.Torn != 0 {
			t.Errorf("%+v, then %+v, %v", rep, again, err)
		}
	})
}
