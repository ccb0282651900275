package journal

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Open opens the journal in dir, which is made if it does not exist, and calls replay with
// every whole record, in order. rec is a view until replay returns. replay may be nil. An
// error of replay ends Open and is returned.
//
// The error wraps [ErrLocked] if another process has the journal. Damage is not an error: the
// report says what was lost.
func Open(dir string, o Options, replay func(seq uint64, rec []byte) error) (*Journal, Report, error) {
	o = o.withDefaults()
	if err := o.FS.MakeDir(dir); err != nil {
		return nil, Report{}, fmt.Errorf("journal: %w", err)
	}
	lock, err := o.FS.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, Report{}, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{dir: dir, opt: o, fs: o.FS, lock: lock, finished: make(chan struct{}, 1)}
	s := scan{fs: o.FS, dir: dir, replay: replay}
	if err = s.run(); err == nil {
		err = j.take(&s)
	}
	if err != nil {
		lock.Close()
		return nil, s.report, fmt.Errorf("journal: %w", err)
	}
	return j, s.report, nil
}

// Read is Open without a journal as result: it replays what is in dir and changes nothing. fs
// may be nil. While a process has the journal open, the error is [ErrLocked]. A directory
// without a journal counts as an empty one.
func Read(dir string, fs FS, replay func(seq uint64, rec []byte) error) (Report, error) {
	if fs == nil {
		fs = OS{}
	}
	names, err := fs.Names(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && !slices.Contains(names, lockName) {
		return Report{}, nil
	}
	if err != nil {
		return Report{}, fmt.Errorf("journal: %w", err)
	}
	lock, err := fs.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return Report{}, fmt.Errorf("journal: %w", err)
	}
	defer lock.Close()
	s := scan{fs: fs, dir: dir, replay: replay}
	if err := s.run(); err != nil {
		return s.report, fmt.Errorf("journal: %w", err)
	}
	return s.report, nil
}

func (o Options) withDefaults() Options {
	if o.SegmentSize <= 0 {
		o.SegmentSize = SegmentSizeDefault
	}
	if o.FS == nil {
		o.FS = OS{}
	}
	return o
}

// take makes the journal continue where the scan has ended.
func (j *Journal) take(s *scan) error {
	salt := s.salt
	var identity File
	if !s.salted {
		var err error
		if salt, identity, err = newIdentity(j.fs, j.dir); err != nil {
			return err
		}
	}
	j.seed = seed(salt)
	j.next = s.next
	j.synced = s.next - 1
	j.segments = s.segments
	j.writer = writer{dir: j.dir, fs: j.fs, salt: salt, size: j.opt.SegmentSize, anew: identity != nil, identity: identity, reserve: reserve{size: j.opt.Reserve}}
	j.writer.reserve.find(&j.writer)
	for _, name := range s.empty {
		if err := j.fs.Remove(filepath.Join(j.dir, name)); err != nil {
			return err
		}
	}
	if identity != nil {
		j.prepare()
	}
	if len(s.segments) == 0 {
		return nil
	}
	return j.resume(s)
}

// resume continues with the last segment if it is whole. After damage it begins a new one, so
// that old damage is never taken for a torn batch.
func (j *Journal) resume(s *scan) error {
	last := &j.segments[len(j.segments)-1]
	if j.roll = !s.sound; j.roll {
		return nil
	}
	f, err := j.fs.Open(filepath.Join(j.dir, segmentName(last.First)), 0)
	if err != nil {
		return err
	}
	if s.report.Torn > 0 {
		if err = f.Truncate(last.Size); err == nil {
			err = f.Sync()
		}
		if err != nil {
			f.Close()
			return err
		}
		s.fileSize = last.Size
	}
	w := &j.writer
	w.file, w.offset, w.filled = f, last.Size, s.fileSize
	w.first, w.begun = last.First, last.First
	return nil
}

// newIdentity draws the salt of a new directory. It writes the file, but does not sync it.
func newIdentity(fs FS, dir string) (salt uint64, f File, err error) {
	var b [8]byte
	if _, err := crand.Read(b[:]); err != nil {
		return 0, nil, err
	}
	salt = binary.LittleEndian.Uint64(b[:])
	f, err = makeFile(fs, dir, identityName, os.O_TRUNC, appendHead(nil, salt, 0))
	return salt, f, err
}

// prepare lets the writer begin a new directory now, which takes four syncs. The owner is
// still starting, so the first record does not wait for them. If nothing is ever appended,
// the directory has an empty segment.
func (j *Journal) prepare() {
	j.job = batch{opens: j.next}
	j.start()
}
