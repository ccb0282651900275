package journal_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto/journal"
	"zamqp/tests/kit/crashfs"
)

// numbered is a record that can be checked by itself.
func numbered(seq uint64, rng *rand.Rand) []byte {
	b := binary.LittleEndian.AppendUint64(nil, seq)
	n := rng.IntN(300)
	if rng.IntN(20) == 0 {
		n = rng.IntN(9000)
	}
	for range n {
		b = append(b, byte(seq)*7)
	}
	return b
}

func checkNumbered(seq uint64, b []byte) error {
	if len(b) < 8 || binary.LittleEndian.Uint64(b) != seq {
		return fmt.Errorf("record %d has the octets of another", seq)
	}
	for _, c := range b[8:] {
		if c != byte(seq)*7 {
			return fmt.Errorf("record %d has foreign octets", seq)
		}
	}
	return nil
}

// TestPowerLoss appends and releases at random, takes the power away at a random step, and reads
// what is left: everything that was reported as synced, and nothing after a gap.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(600) {
		if t.Failed() {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := crashfs.New()
		var released, synced uint64
		for range 3 { // lives
			fs, released, synced = onePowerLoss(t, fs, rng, seed, released, synced)
		}
	}
}

func onePowerLoss(t *testing.T, fs *crashfs.FS, rng *rand.Rand, seed, released, synced uint64) (*crashfs.FS, uint64, uint64) {
	var work []func()
	o := journal.Options{
		SegmentSize: 4000, FS: fs,
		Offload:  func(w, done func()) { work = append(work, w, done) },
		After:    func(_ time.Duration, fn func()) { work = append(work, func() {}, fn) },
		Reserve:  int64(seed % 3 * 1500),
		OnSynced: func(seq uint64) { synced = seq },
	}
	var got []uint64
	j, rep, err := journal.Open("d", o, func(seq uint64, rec []byte) error {
		got = append(got, seq)
		return checkNumbered(seq, rec)
	})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if len(rep.Damage) > 0 {
		t.Errorf("seed %d: a power loss looks like damage: %v", seed, rep.Damage)
	}
	for i, seq := range got {
		if i > 0 && seq != got[i-1]+1 {
			t.Errorf("seed %d: record %d after %d", seed, seq, got[i-1])
		}
	}
	if first := j.Segments(); len(got) > 0 && got[0] > max(released, 1) {
		t.Errorf("seed %d: begins at %d, released up to %d, %v", seed, got[0], released, first)
	}
	if j.Last() < synced {
		t.Errorf("seed %d: ends at %d, and %d was synced", seed, j.Last(), synced)
	}
	// The crash comes inside some step of the writer, or between turns.
	var crashed *crashfs.FS
	at := fs.Steps + 1 + rng.IntN(40)
	fs.During = func(string) {
		if fs.Steps == at && crashed == nil {
			crashed = fs.Crash(rng)
		}
	}
	known := synced
	for crashed == nil {
		// The disk has errors that pass.
		if fs.FailAt = 0; rng.IntN(4) == 0 {
			fs.FailAt = fs.Steps + 1 + rng.IntN(4)
			fs.Fail = []error{syscall.ENOSPC, syscall.EIO, syscall.EMFILE}[rng.IntN(3)]
			fs.Short = rng.IntN(2) == 0
		}
		for range rng.IntN(8) {
			seq := j.Last() + 1
			j.Append(numbered(seq, rng))
		}
		if rng.IntN(4) > 0 {
			j.Flush()
		}
		if rng.IntN(6) == 0 && synced > 20 {
			released = max(released, synced-20)
			j.Release(released)
		}
		known = synced
		if len(work) > 0 && rng.IntN(3) > 0 {
			w, done := work[0], work[1]
			work = work[2:]
			w()
			if crashed == nil {
				done()
			}
		}
	}
	return crashed, released, known
}

// TestKill kills a process that appends, again and again.
func TestKill(t *testing.T) {
	if dir := os.Getenv("JOURNAL_CHILD"); dir != "" {
		appendForEver(dir)
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	last := uint64(0)
	for round := range rounds {
		told := killChild(t, dir, rng)
		n := uint64(0)
		rep, err := journal.Read(dir, nil, func(seq uint64, rec []byte) error {
			n++
			return checkNumbered(seq, rec)
		})
		if err != nil || len(rep.Damage) > 0 {
			t.Fatalf("round %d: %+v, %v", round, rep, err)
		}
		if rep.Last < told || rep.Last < last || n != rep.Last {
			t.Fatalf("round %d: %d records up to %d; %d had been told, %d were there before", round, n, rep.Last, told, last)
		}
		last = rep.Last
	}
	t.Logf("%d records", last)
}

func killChild(t *testing.T, dir string, rng *rand.Rand) (told uint64) {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKill$")
	cmd.Env = append(os.Environ(), "JOURNAL_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 1 + rng.IntN(20)
	in := bufio.NewScanner(out)
	for in.Scan() {
		n, err := strconv.ParseUint(strings.TrimSpace(in.Text()), 10, 64)
		if err != nil {
			t.Fatalf("the child says %q", in.Text())
		}
		told = n
		if lines--; lines == 0 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if lines > 0 {
		t.Fatal("the child ended by itself")
	}
	return told
}

// appendForEver appends records, and prints the numbers of those that are on disk.
func appendForEver(dir string) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	j, _, err := journal.Open(dir, journal.Options{SegmentSize: 1 << 20, OnSynced: func(seq uint64) { fmt.Println(seq) }}, nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		for range 1 + rng.IntN(50) {
			j.Append(numbered(j.Last()+1, rng))
		}
		j.Flush()
		if j.Behind() > 64<<10 {
			_ = j.Sync()
		}
	}
}
