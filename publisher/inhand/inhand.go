package inhand

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Journal is the file of this process, together with the evidence that earlier processes
// left. It belongs to one thread.
type Journal struct {
	m      *mapping
	free   []uint32
	left   map[key][]uint32 // slots of evidence that is not claimed yet
	fail   func(error)      // called once with the reason why nothing is written any more
	failed bool
	kept   bool
	now    func() time.Time
}

// key distinguishes the messages of a queue from those of its quarantine, because a copy has
// the fingerprint of its original.
type key struct {
	id    uint64
	apart bool
}

// Evidence is what is known about a message that was being handled when a process ended.
type Evidence struct {
	Ends  int  // ends of processes that no header records
	Alone bool // at the last of them no other message was being handled
}

// Options of Open.
type Options struct {
	Dir    string
	Now    func() time.Time             // nil is time.Now
	Report func(path string, err error) // called for a file that is not used; nil = not reported
	Failed func(error)                  // called when the file in use fails, at most once
}

const (
	prefix = "inhand-"
	suffix = ".slots"
	// staleAfter is how long evidence is kept for its message. A message that has not come
	// again after a week is no longer expected.
	staleAfter = 7 * 24 * time.Hour
)

// Open makes the file of this process in a directory, or takes over the file of a process
// that has ended, with its evidence. Several processes may share a directory. Each takes
// over one file only. If one process took all files, the others would have no evidence, and
// a message could end each of them as often as a new message could.
func Open(o Options) (*Journal, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("in hand: %w", err)
	}
	j := &Journal{left: map[key][]uint32{}, fail: o.Failed, now: o.Now}
	if j.now == nil {
		j.now = time.Now
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("in hand: %w", err)
	}
	found := j.look(o, entries)
	for _, c := range found {
		if j.m == nil {
			j.m = j.take(o, c.path)
		} else if !c.evidence {
			j.tidy(c.path)
		}
	}
	if j.m == nil {
		if j.m, err = newFile(o.Dir); err != nil {
			return nil, fmt.Errorf("in hand: %w", err)
		}
	}
	j.adopt()
	return j, nil
}

// candidate is a file that a process may have left.
type candidate struct {
	path     string
	evidence bool
	last     int64 // when the last of its messages began or was claimed
}

// look returns the files of the directory. The file with the latest end of a process comes
// first, so that a process that is restarted again and again finds its own file. The files
// of running processes are among them.
func (j *Journal) look(o Options, entries []os.DirEntry) (found []candidate) {
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		c := candidate{path: filepath.Join(o.Dir, e.Name())}
		f, err := readSlots(c.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			o.report(c.path, err)
			continue
		}
		j.kept = j.kept || f.whole
		c.last, c.evidence = j.lastOf(f.slots)
		found = append(found, c)
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(b.last, a.last) })
	return found
}

// lastOf finds the time of the latest evidence in the slots of a process that has ended.
func (j *Journal) lastOf(slots []word) (last int64, found bool) {
	for _, w := range slots {
		if n := note(w[1]); w[0] != 0 {
			if _, ok := j.ended(w[0], n); ok {
				last, found = max(last, n.time()), true
			}
		}
	}
	return last, found
}

// take locks the file of a process that has ended. It returns nil if it cannot use the file.
func (j *Journal) take(o Options, path string) *mapping {
	m, err := mapFile(path)
	switch {
	case err == nil:
		return m
	case errors.Is(err, errInUse):
		j.kept = true
	case !errors.Is(err, fs.ErrNotExist):
		o.report(path, err)
	}
	return nil
}

// tidy removes a file that nobody needs.
func (j *Journal) tidy(path string) {
	m, err := mapFile(path)
	if err != nil {
		return // in use
	}
	if _, evidence := j.lastOf(m.slots); !evidence {
		_ = os.Remove(path)
	}
	m.close()
}

func (o *Options) report(path string, err error) {
	if o.Report != nil {
		o.Report(path, err)
	}
}

func newFile(dir string) (*mapping, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	path := filepath.Join(dir, prefix+hex.EncodeToString(random[:])+suffix)
	m, err := mapFile(path)
	if err != nil {
		_ = os.Remove(path)
	}
	return m, err
}

// adopt turns what the previous process left in our file into evidence.
func (j *Journal) adopt() {
	j.free = make([]uint32, 0, Slots)
	for slot := int64(Slots) - 1; slot >= 0; slot-- {
		s := uint32(slot)
		id, n := j.m.load(s)
		n, ok := j.ended(id, n)
		if !ok {
			if id != 0 {
				j.write(s, 0, 0)
			}
			j.free = append(j.free, s)
			continue
		}
		j.write(s, id, n)
		k := key{id, n&noteApart != 0}
		j.left[k] = append(j.left[k], s)
	}
}

// ended turns the note of an ended process into evidence. It returns false if there is none.
func (j *Journal) ended(id uint64, n note) (note, bool) {
	if id == 0 || j.now().Unix()-n.time() > int64(staleAfter.Seconds()) {
		return 0, false
	}
	if n&noteStarted != 0 {
		e := n.evidence()
		e.Ends++
		n = newNote(e, n&noteApart, j.now())
	}
	return n, n.evidence().Ends > 0
}

// Kept reports whether an earlier process has used the directory, or another process uses it
// now. Then it is known what ended processes had in hand: a message that is not in the
// journal was not being handled.
func (j *Journal) Kept() bool { return j.kept }

// Any reports whether there is evidence that has not been claimed.
func (j *Journal) Any() bool { return len(j.left) > 0 }

// Left returns how many messages have evidence that has not been claimed.
func (j *Journal) Left() (n int) {
	for _, slots := range j.left {
		n += len(slots)
	}
	return n
}

// Claim takes the evidence of a message that was delivered again. Equal messages have one
// piece of evidence for each time that one of them was being handled. The slot is not 0. It
// belongs to the caller, who gives it to Start, Free or Unclaim.
func (j *Journal) Claim(id uint64, apart bool) (slot uint32, e Evidence) {
	if len(j.left) == 0 {
		return 0, Evidence{}
	}
	k := key{id, apart}
	slots := j.left[k]
	if len(slots) == 0 {
		return 0, Evidence{}
	}
	s := slots[len(slots)-1]
	if len(slots) == 1 {
		delete(j.left, k)
	} else {
		j.left[k] = slots[:len(slots)-1]
	}
	_, n := j.m.load(s)
	return s + 1, n.evidence()
}

// Unclaim gives back evidence that was not used, because the message is going to be
// delivered again.
func (j *Journal) Unclaim(slot uint32) {
	if slot == 0 {
		return
	}
	id, n := j.m.load(slot - 1)
	if id == 0 {
		return // the file has failed
	}
	k := key{id, n&noteApart != 0}
	j.left[k] = append(j.left[k], slot-1)
}

// Start records that the handling of a message begins, in the message's slot or, for slot 0,
// in a new one. ends is the number of ends of processes that no header records. It returns 0
// if no slot is free.
func (j *Journal) Start(slot uint32, id uint64, ends int, alone, apart bool) uint32 {
	if slot == 0 {
		if len(j.free) == 0 {
			return 0
		}
		slot = j.slot() + 1
	}
	flags := noteStarted
	if apart {
		flags |= noteApart
	}
	j.write(slot-1, id, newNote(Evidence{Ends: ends, Alone: alone}, flags, j.now()))
	return slot
}

// Shared records that a message is no longer handled alone.
func (j *Journal) Shared(slot uint32) {
	if slot == 0 {
		return
	}
	if id, n := j.m.load(slot - 1); id != 0 {
		j.write(slot-1, id, n&^noteAlone)
	}
}

// Free gives a slot back. Slot 0 is none.
func (j *Journal) Free(slot uint32) {
	if slot == 0 {
		return
	}
	j.write(slot-1, 0, 0)
	j.free = append(j.free, slot-1)
}

func (j *Journal) slot() uint32 {
	s := j.free[len(j.free)-1]
	j.free = j.free[:len(j.free)-1]
	return s
}

func (j *Journal) write(slot uint32, id uint64, n note) {
	if j.failed {
		return
	}
	if err := j.m.store(slot, id, n); err != nil {
		j.failed = true
		if j.fail != nil {
			j.fail(err)
		}
	}
}

// Close ends the journal. After a clean stop, the messages that are still being
// handled were cut off and have not ended the process. Without such a stop they may have
// ended it, and stay as evidence. Evidence that was not claimed stays in any case.
func (j *Journal) Close(orderly bool) {
	if j.m == nil || j.m.data == nil {
		return
	}
	for s := uint32(0); orderly && s < Slots; s++ {
		if id, n := j.m.load(s); id != 0 && n&noteStarted != 0 {
			j.write(s, 0, 0)
		}
	}
	j.m.close()
}
