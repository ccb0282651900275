package journal

import (
	"os"
	"path/filepath"
)

// reserve is a file that keeps space for the time when the disk is full. Then it becomes the
// next segment, so no other program can take the space. Records that free space can be
// written there: acks, deletions, and messages that are written again so that a segment can
// be removed.
type reserve struct {
	size   int64 // the size that it should have; 0 = no reserve
	file   File  // the file; nil while there is none
	has    int64 // the size that it has
	tried  bool  // an attempt to build it was made since the journal was opened
	wanted bool  // the file becomes the next segment
	spent  bool  // the reserve was used, and has not been built again
}

const reserveName = "reserve"

// find uses the reserve that exists when the journal is opened.
func (r *reserve) find(w *writer) {
	if r.size == 0 {
		return
	}
	f, err := w.fs.Open(filepath.Join(w.dir, reserveName), 0)
	if err != nil {
		return // a new one is built when something has been written
	}
	size, err := f.Size()
	if err != nil || size < r.size/reserveLeast {
		f.Close()
		return
	}
	r.file, r.has, r.tried = f, size, true
}

// reserveLeast is the smallest part of its size that a reserve should have on a small
// disk.
const reserveLeast = 8

// build makes the file. It checks that as much space again is free, because otherwise
// records would lack space at once. On a small disk the file is smaller, but never smaller
// than it was.
func (r *reserve) build(w *writer) {
	r.tried = true
	if r.size == 0 || r.file != nil {
		return
	}
	name := filepath.Join(w.dir, reserveName)
	f, err := w.fs.Open(name, os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return
	}
	least := max(r.size/reserveLeast, r.has, 1)
	for size := r.size; size >= least; size /= 2 {
		if err = f.Allocate(2 * size); err == nil {
			err = f.Truncate(size)
		}
		if err == nil {
			err = keepFile(w.fs, w.dir, f)
		}
		if err == nil {
			r.file, r.has, r.spent = f, size, false
			return
		}
		_ = f.Truncate(0)
	}
	f.Close()
	_ = w.fs.Remove(name)
}

// use turns the file into a segment.
func (r *reserve) use(w *writer, first uint64) error {
	f := r.file
	r.file, r.wanted, r.spent = nil, false, true
	_, err := f.WriteAt(appendHead(nil, w.salt, first), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = w.fs.Rename(filepath.Join(w.dir, reserveName), filepath.Join(w.dir, segmentName(first)))
	}
	if err == nil {
		err = w.fs.SyncDir(w.dir)
	}
	if err != nil {
		f.Close()
		return err
	}
	w.file, w.first, w.offset, w.filled = f, first, headSize, r.has
	return nil
}

// serves reports whether the batch fits into the reserve.
func (r *reserve) serves(b *batch) bool {
	return r.file != nil && b.size()+headSize <= r.has
}

func (r *reserve) close() {
	if r.file != nil {
		_ = r.file.Close() // nothing was written to the file
		r.file = nil
	}
}
