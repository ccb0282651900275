package journal

import (
	"fmt"
	"os"
	"path/filepath"
)

// writer puts batches into files. It is used by one goroutine at a time.
type writer struct {
	dir    string
	fs     FS
	salt   uint64
	size   int64 // of a segment
	file   File  // the segment being written; nil if the next batch begins one
	offset int64 // where the next batch goes
	filled int64 // the file reaches to here, with zeros
}

// A file is extended with zeros ahead of small batches: a sync that does not
// have to record a new length is up to twice as fast. Large batches do not gain
// by writing everything twice.
const (
	aheadSize     = 256 << 10
	aheadBatchMax = 32 << 10
)

var zeros [aheadSize + aheadBatchMax]byte

func (w *writer) do(b *batch) error {
	if b.opens != 0 {
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
	f, err := writeNew(w.fs, w.dir, segmentName(first), os.O_EXCL, appendHead(nil, w.salt, first))
	if err != nil {
		return err
	}
	w.file, w.offset, w.filled = f, headSize, headSize
	return nil
}

func (w *writer) write(b []byte) error {
	end := w.offset + int64(len(b))
	if end > w.filled && len(b) <= aheadBatchMax && end < w.size {
		ahead := min(end+aheadSize, w.size)
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
