package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
)

// writer puts batches into files. It is used by one goroutine at a time.
type writer struct {
	dir      string
	fs       FS
	salt     uint64
	size     int64  // size of a segment
	anew     bool   // the directory is new, and its identity is not on disk yet
	identity File   // the file of the identity, if it is open
	file     File   // the segment being written; nil if the next batch begins one
	first    uint64 // number of its first record, if the writer has begun it
	begun    uint64 // the last segment that the writer tried to begin
	offset   int64  // offset of the next batch: everything before it is on disk
	filled   int64  // length of the file, with zeros at its end
	doubtful bool   // nothing more may be written to the file: a sync of it has failed, or the reserve follows

	reserve reserve
}

// A file is extended with zeros before small batches are written, because a sync that
// does not change the length is up to twice as fast. Its length doubles each time, so
// that the first batch does not wait for many zeros. Large batches would only be slower
// if everything were written twice.
const (
	aheadMin      = 16 << 10
	aheadMax      = 256 << 10
	aheadBatchMax = 32 << 10
)

var zeros [aheadMax + aheadBatchMax]byte

// do writes a batch. After an error it can be called again with the same batch, and
// continues with what is not done.
func (w *writer) do(b *batch) error {
	if err := w.store(b); err != nil {
		return err
	}
	b.stored = true
	for len(b.removes) > 0 {
		if err := w.remove(b.removes[0]); err != nil {
			return fmt.Errorf("journal: remove a segment: %w", err)
		}
		b.removes = b.removes[1:]
	}
	if b.rebuilds || !w.reserve.tried {
		w.reserve.build(w)
	}
	return nil
}

// store puts the records of a batch on disk.
func (w *writer) store(b *batch) error {
	if b.stored {
		return nil
	}
	if w.doubtful {
		w.giveUp()
	}
	if b.opens != 0 && b.opens != w.first { // the file exists already if it was prepared
		if err := w.open(b.opens); err != nil {
			return fmt.Errorf("journal: begin a segment: %w", err)
		}
	}
	if len(b.octets) == 0 {
		return nil
	}
	if err := w.write(b); err != nil {
		return fmt.Errorf("journal: write: %w", err)
	}
	if err := w.file.Sync(); err != nil {
		w.doubtful = true
		return fmt.Errorf("journal: sync: %w", err)
	}
	w.offset += b.size()
	return nil
}

// giveUp abandons a file whose sync has failed, because a later successful sync of it
// proves nothing. It cuts off what was written and not synced, for cursors that read the
// file now. After a crash, the name of the next segment says where this file ends.
func (w *writer) giveUp() {
	if w.file != nil {
		_ = w.file.Truncate(w.offset)
		_ = w.file.Close()
	}
	w.file, w.first, w.doubtful = nil, 0, false
}

func (w *writer) open(first uint64) error {
	if w.file != nil {
		if err := w.finish(); err != nil {
			return err
		}
	}
	// The identity comes first: without it, and without a whole head of a segment, the
	// directory could not be opened again.
	if err := w.keepIdentity(); err != nil {
		return err
	}
	if w.begun == first { // a file that the last attempt has left
		err := w.fs.Remove(filepath.Join(w.dir, segmentName(first)))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	w.begun = first
	if w.reserve.wanted && w.reserve.file != nil {
		return w.reserve.use(w, first)
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
	w.reserve.tried = w.reserve.file != nil
	return nil
}

// keepIdentity puts the identity of a new directory on disk. If its sync failed, it is
// written again to another file.
func (w *writer) keepIdentity() error {
	if !w.anew {
		return nil
	}
	if w.identity == nil {
		err := w.fs.Remove(filepath.Join(w.dir, identityName))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if w.identity, err = makeFile(w.fs, w.dir, identityName, os.O_TRUNC, appendHead(nil, w.salt, 0)); err != nil {
			w.identity = nil
			return err
		}
	}
	err := keepFile(w.fs, w.dir, w.identity)
	w.anew = err != nil
	_ = w.identity.Close() // it was synced, or does not count
	w.identity = nil
	return err
}

func (w *writer) write(b *batch) error {
	size := b.size()
	end := w.offset + size
	if end > w.filled && size <= aheadBatchMax && end < w.size {
		ahead := min(end+min(max(end, aheadMin), aheadMax), w.size)
		// The batch may fit even if the zeros do not.
		if _, err := w.file.WriteAt(zeros[:ahead-w.filled], w.filled); err == nil {
			w.filled = ahead
		}
	}
	if err := w.writeParts(b); err != nil {
		return err
	}
	w.filled = max(w.filled, end)
	return nil
}

// writeParts writes the octets of a batch, with the lent parts in between.
func (w *writer) writeParts(b *batch) error {
	offset, from := w.offset, 0
	put := func(p []byte) error {
		_, err := w.file.WriteAt(p, offset)
		offset += int64(len(p))
		return err
	}
	for i := range b.lent {
		l := &b.lent[i]
		if !l.sealed {
			b.seal(seed(w.salt), i)
		}
		if err := put(b.octets[from:l.at]); err != nil {
			return err
		}
		from = l.at
		for rest := l.octets; len(rest) > 0; {
			n := min(len(rest), pieceMax)
			if err := put(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return put(b.octets[from:])
}

// pieceMax is how much of a lent part is handled at once. With one processor, other
// goroutines can run between two pieces.
const pieceMax = 256 << 10

// seal sets the CRC of a record. i is the index of its first lent part.
func (b *batch) seal(seed uint32, i int) {
	record, end := b.lent[i].record, b.lent[i].end
	sum, from := seed, record+4
	for ; i < len(b.lent) && b.lent[i].record == record; i++ {
		l := &b.lent[i]
		sum = crc32.Update(sum, castagnoli, b.octets[from:l.at])
		for rest := l.octets; len(rest) > 0; {
			n := min(len(rest), pieceMax)
			sum = crc32.Update(sum, castagnoli, rest[:n])
			rest = rest[n:]
			runtime.Gosched()
		}
		from, l.sealed = l.at, true
	}
	sum = crc32.Update(sum, castagnoli, b.octets[from:end])
	binary.LittleEndian.PutUint32(b.octets[record:], sum)
}

// finish cuts the zeros off and closes the segment. All its records were synced; the
// shorter length need not be.
func (w *writer) finish() error {
	f := w.file
	w.file, w.first = nil, 0
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
	err := w.fs.Remove(filepath.Join(w.dir, segmentName(first)))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // an earlier attempt, whose sync failed, has removed it
		return err
	}
	return w.fs.SyncDir(w.dir)
}

func (w *writer) close(healthy bool) error {
	w.reserve.close()
	switch {
	case w.file == nil:
		return nil
	case healthy:
		return w.finish()
	}
	return w.file.Close()
}
