package journal

import (
	"fmt"
	"os"
	"path/filepath"
)

// writer puts batches into files. It is used by one goroutine at a time.
type writer struct {
	dir      string
	fs       FS
	salt     uint64
	size     int64  // of a segment
	identity File   // not on disk as yet; nil if it is
	file     File   // the segment being written; nil if the next batch begins one
	first    uint64 // number of its first record, if the writer has begun it
	offset   int64  // where the next batch goes
	filled   int64  // the file reaches to here, with zeros
}

// A file is extended with zeros ahead of small batches: a sync that does not
// have to record a new length is up to twice as fast. It is as much again as the
// file has, so that the first batch of all does not have to wait for the most.
// Large batches do not gain by writing everything twice.
const (
	aheadMin      = 16 << 10
	aheadMax      = 256 << 10
	aheadBatchMax = 32 << 10
)

var zeros [aheadMax + aheadBatchMax]byte

func (w *writer) do(b *batch) error {
	if b.opens != 0 && b.opens != w.first { // it is there if it was prepared
		if err := w.open(b.opens); err != nil {
			return fmt.Errorf("journal: begin a segment: %w", err)
		}
	}
	if len(b.octets) > 0 {
		if err := w.write(b.octets); err != nil {
			return fmt.Errorf("journal: write: %w", err)
		}
		if err := w.file.Sync(); err != nil {
			return fmt.Errorf("journal: sync: %w", err)
		}
	}
	for _, first := range b.removes {
		if err := w.remove(first); err != nil {
			return fmt.Errorf("journal: remove a segment: %w", err)
		}
	}
	return nil
}

func (w *writer) open(first uint64) error {
	if w.file != nil {
		if err := w.finish(); err != nil {
			return err
		}
	}
	// The identity first: without it and without a whole head of a segment the
	// directory could not be opened again.
	if f := w.identity; f != nil {
		w.identity = nil
		err := keepFile(w.fs, w.dir, f)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
	f, err := makeFile(w.fs, w.dir, segmentName(first), os.O_EXCL, appendHead(nil, w.salt, first))
	if err != nil {
		return err
	}
	if err := keepFile(w.fs, w.dir, f); err != nil {
		f.Close()
		return err
	}
	w.file, w.first, w.offset, w.filled = f, first, headSize, headSize
	return nil
}

func (w *writer) write(b []byte) error {
	end := w.offset + int64(len(b))
	if end > w.filled && len(b) <= aheadBatchMax && end < w.size {
		ahead := min(end+min(max(end, aheadMin), aheadMax), w.size)
		if _, err := w.file.WriteAt(zeros[:ahead-w.filled], w.filled); err != nil {
			return err
		}
		w.filled = ahead
	}
	if _, err := w.file.WriteAt(b, w.offset); err != nil {
		return err
	}
	w.offset = end
	w.filled = max(w.filled, end)
	return nil
}

// finish gives back what was reserved and closes the segment. All that it holds
// was synced; the shorter length need not be.
func (w *writer) finish() error {
	f := w.file
	w.file = nil
	var err error
	if w.filled > w.offset {
		err = f.Truncate(w.offset)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// remove puts each removal on disk before the next one: a record must not
// outlive the one that undoes it.
func (w *writer) remove(first uint64) error {
	if err := w.fs.Remove(filepath.Join(w.dir, segmentName(first))); err != nil {
		return err
	}
	return w.fs.SyncDir(w.dir)
}

func (w *writer) close(healthy bool) error {
	switch {
	case w.file == nil:
		return nil
	case healthy:
		return w.finish()
	}
	return w.file.Close()
}
