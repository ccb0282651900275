package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// scan reads a directory.
type scan struct {
	fs     FS
	dir    string
	replay func(seq uint64, rec []byte) error

	salt   uint64
	salted bool // salt is known

	report   Report
	segments []Segment // the segments, with their whole sizes
	empty    []string  // files at the end that were created and have no records yet
	next     uint64    // number that the next record should have
	sound    bool      // the journal may append to the last segment
	fileSize int64     // end of the records in the last segment

	buf []byte
}

func (s *scan) run() error {
	names, err := s.fs.Names(s.dir)
	if err != nil {
		return err
	}
	var files []Segment
	for _, name := range names {
		if first, ok := parseSegmentName(name); ok {
			files = append(files, Segment{First: first})
		}
	}
	s.next = 1
	if err := s.findSalt(files); err != nil || !s.salted {
		return err
	}
	for i, f := range files {
		end := uint64(0)
		if i+1 < len(files) {
			end = files[i+1].First
		}
		if err := s.segment(f.First, end); err != nil {
			return err
		}
	}
	s.report.Segments = len(s.segments)
	s.buf = nil
	return nil
}

// findSalt looks into the heads until it finds a whole one.
func (s *scan) findSalt(files []Segment) error {
	names := []string{identityName}
	for _, f := range files {
		names = append(names, segmentName(f.First))
	}
	for _, name := range names {
		f, err := s.fs.Open(filepath.Join(s.dir, name), 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		var head [headSize]byte
		n, _ := f.ReadAt(head[:], 0) // too short or unreadable: no whole head
		f.Close()
		if salt, _, ok := parseHead(head[:n]); ok {
			s.salt, s.salted = salt, true
			return nil
		}
	}
	if len(files) > 0 {
		return fmt.Errorf("%s: no file in it has a whole head, so none of its records can be recognized; restore the directory, or move it away to start with an empty one", s.dir)
	}
	return nil
}

// segment reads one file. end is the number of the record with which the next one begins; 0
// for the last.
func (s *scan) segment(first, end uint64) error {
	last := end == 0
	name := segmentName(first)
	b, bad, err := s.load(name)
	if err != nil {
		return err
	}
	w := walk{s: s, name: name, b: b, seed: seed(s.salt), first: first, end: end, last: last, reason: "broken record"}
	if bad {
		w.reason = "unreadable"
	}
	s.gap(&w)
	s.next = max(s.next, first)
	_, named, ok := parseHead(b)
	s.sound = ok && named == first
	if err := w.run(min(headSize, len(b))); err != nil {
		return err
	}
	s.fileSize = int64(len(b))
	if !s.sound && w.records == 0 && last {
		// The file was created, but not finished before the process ended.
		s.report.Torn += int64(len(bytes.TrimRight(b, "\x00")))
		s.empty = append(s.empty, name)
		return nil
	}
	if !ok || named != first {
		w.damage(0, headSize, 0, 0, "broken head")
	}
	s.segments = append(s.segments, Segment{First: first, Size: int64(w.size)})
	return nil
}

// gap reports which records are missing between the last segment and the one that w reads.
func (s *scan) gap(w *walk) {
	if len(s.segments) == 0 || w.first <= s.next {
		return
	}
	lost := w.first - s.next
	if n := len(s.report.Damage); n > 0 && s.report.Damage[n-1].First == s.next {
		s.report.Damage[n-1].Lost = lost // the end of the last segment was damaged
		return
	}
	w.damage(0, 0, s.next, lost, "records missing before it")
}

// load reads a whole file. Parts that cannot be read become zeros, and bad is true.
func (s *scan) load(name string) (b []byte, bad bool, err error) {
	f, err := s.fs.Open(filepath.Join(s.dir, name), 0)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, false, err
	}
	if int64(cap(s.buf)) < size {
		s.buf = make([]byte, size)
	}
	b = s.buf[:size]
	if _, err := f.ReadAt(b, 0); err == nil || err == io.EOF && size == 0 {
		return b, false, nil
	}
	const block = 4096
	for at := 0; at < len(b); at += block {
		part := b[at:min(at+block, len(b))]
		if _, err := f.ReadAt(part, int64(at)); err != nil {
			clear(part)
		}
	}
	return b, true, nil
}
