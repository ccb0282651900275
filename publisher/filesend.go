package publisher

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// A file is sent in pieces. While a client takes a large piece, the next one is read into another
// buffer. A client that needs longer than slowPiece for a piece gets small pieces, and the next
// one is read only when it has taken the last one. So a slow client uses one small buffer. The
// large pieces of all files together never use more than fileOctetsMax.
const (
	fileLargePiece = 128 << 10 // with the room before it: as much as the loop writes at once
	fileSmallPiece = 16 << 10
	fileOctetsMax  = 32 << 20
	filesIdleMax   = 32 // buffers of each size that are kept for the next file
	slowPiece      = 100 * time.Millisecond
)

// FilesOpenMax is the default of Options.FilesOpen.
const FilesOpenMax = 256

// filesPool is the name of the pool that opens and reads files, in metrics and errors. No handler
// can register a pool of that name.
const filesPool = "file answers"

// filesWorkers is how many files are opened or read at once.
const filesWorkers = 8

// sentFiles is what all file answers of a server share. Loop thread only.
type sentFiles struct {
	pool         *pool
	large, small [][]byte // buffers that nobody uses
	octets       int      // in large pieces
	open         int      // files that stay open between two pieces
	openMax      int
}

// A filePiece is a part of a file in a buffer, behind room for the head of the answer.
type filePiece struct {
	buf   []byte
	room  int
	n     int64
	large bool
	read  *offloaded // nil if it is not being read
}

func (p *filePiece) content() []byte { return p.buf[p.room : p.room+int(p.n)] }

// size is how many octets the piece can have.
func (p *filePiece) size() int64 { return int64(len(p.buf) - p.room) }

// fileRoom is the room before a piece. Doors that need more get copies.
const fileRoom = 1 << 10

// take returns an empty piece, a large one if that is wanted and the memory allows it.
func (s *sentFiles) take(large bool) filePiece {
	p := filePiece{room: fileRoom, large: large && s.octets+fileLargePiece <= fileOctetsMax}
	free, size := &s.small, fileSmallPiece+fileRoom
	if p.large {
		free, size = &s.large, fileLargePiece
		s.octets += fileLargePiece
	}
	if last := len(*free) - 1; last >= 0 {
		p.buf = (*free)[last]
		(*free)[last] = nil
		*free = (*free)[:last]
	} else {
		p.buf = make([]byte, size)
	}
	return p
}

// give takes back the buffer of a piece that nobody uses any more.
func (s *sentFiles) give(p *filePiece) {
	buf := s.forget(p)
	free := &s.small
	if p.large {
		free = &s.large
	}
	if buf != nil && len(*free) < filesIdleMax {
		*free = append(*free, buf)
	}
}

// forget leaves the buffer of a piece to the garbage collector: the door may still send from it.
func (s *sentFiles) forget(p *filePiece) (buf []byte) {
	buf, p.buf = p.buf, nil
	if p.large && buf != nil {
		s.octets -= fileLargePiece
	}
	return buf
}

// held counts a file that stays open while it is sent. If too many are open, it closes the file,
// which is then opened again for each piece.
func (f *fileAnswer) held() {
	files := &f.server.files
	switch {
	case f.file == nil:
	case files.open < files.openMax || !f.seeks:
		files.open++
		f.counted = true
	default:
		f.close()
	}
}

// close closes the file on another goroutine, because some file systems block in close. Loop
// thread.
func (f *fileAnswer) close() {
	file := f.file
	f.file = nil
	if f.counted {
		f.counted = false
		f.server.files.open--
	}
	if file != nil {
		f.server.runtime.Offload(0, func() { _ = file.Close() }, func() {})
	}
}

// dropFile gives up a file that is not sent, or not any more.
func (p *Response) dropFile() {
	if f := p.file; f != nil {
		p.file = nil
		f.server.files.give(&f.first)
		f.close()
	}
}

// read fills a piece from the file, from one position up to another or until the piece is full.
func (f *fileAnswer) read(p *filePiece, from, to int64) error {
	file := f.file
	if file == nil {
		var err error
		if file, err = f.again(); err != nil {
			return err
		}
		defer file.Close()
	}
	p.n = min(to-from, p.size())
	var n int
	var err error
	if at, ok := file.(io.ReaderAt); ok {
		n, err = at.ReadAt(p.content(), from)
	} else {
		if s, ok := file.(io.Seeker); ok && f.position != from {
			if _, err = s.Seek(from, io.SeekStart); err != nil {
				return fmt.Errorf("file %s: %w", f.name, err)
			}
		}
		n, err = io.ReadFull(file, p.content())
		f.position = from + int64(n)
	}
	if int64(n) == p.n {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("file %s: it has become shorter than its %d octets while it was sent: put a new file in its place by renaming, and do not write to one that is served", f.name, f.info.Size())
	}
	return fmt.Errorf("file %s: %w", f.name, err)
}

// again opens a file that is not kept open, and checks that it is still the same.
func (f *fileAnswer) again() (fs.File, error) {
	file, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", f.name, err)
	}
	info, err := file.Stat()
	if err == nil && (info.Size() != f.info.Size() || !info.ModTime().Equal(f.info.ModTime()) || info.Sys() != nil && !os.SameFile(info, f.info)) {
		err = errors.New("another file has taken its place while it was sent")
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("file %s: %w", f.name, err)
	}
	return file, nil
}

// A fileSending sends a file after the commit, in the call's own task.
type fileSending struct {
	r      *Request
	f      *fileAnswer
	door   StreamDoor
	stream *Stream
	lend   LendDoor  // nil if the door copies
	span   int       // that has the next octet to read
	at     int64     // position of that octet in the file
	slow   bool      // the client is slow
	last   filePiece // that the client is taking
	next   filePiece // that is read next
}

// send sends the head and, unless the method is HEAD, the body.
func (s *fileSending) send(head bool) error {
	r, f := s.r, s.f
	door, ok := r.door.(StreamDoor)
	if !ok {
		return errors.New("file: this door cannot stream an answer")
	}
	s.door = door
	if s.lend, ok = door.(LendDoor); ok && s.lend.LendRoom() > fileRoom {
		s.lend = nil
	}
	r.answerID()
	door.Start(r.forDoor(), f.length)
	if head {
		return nil
	}
	s.next, f.first = f.first, filePiece{}
	s.at = f.spans[0].from
	err := s.pieces()
	if err == nil && f.end != "" {
		_, err = door.Write(r.forDoor(), []byte(f.end))
	}
	s.settle(err != nil)
	if err == nil {
		err = door.Written(r.forDoor())
	}
	return err
}

// pieces sends one piece after the other.
func (s *fileSending) pieces() error {
	for s.span < len(s.f.spans) {
		if err := s.readNext(); err != nil {
			return err
		}
		span := &s.f.spans[s.span]
		if s.at == span.from && span.before != "" {
			if _, err := s.door.Write(s.r.forDoor(), []byte(span.before)); err != nil {
				return err
			}
		}
		s.last, s.next = s.next, filePiece{}
		if s.at += s.last.n; s.at == span.to {
			if s.span++; s.span < len(s.f.spans) {
				s.at = s.f.spans[s.span].from
			}
		}
		if err := s.give(); err != nil {
			return err
		}
	}
	return nil
}

// give gives the last piece to the client, and waits until it has taken it. Meanwhile the next one
// is read, unless the client is slow.
func (s *fileSending) give() error {
	r, p := s.r, &s.last
	began := r.server.Now()
	var err error
	if s.lend != nil {
		err = s.lend.Lend(r.forDoor(), p.buf[:p.room+int(p.n)], p.room)
	} else {
		_, err = s.stream.Write(p.content())
	}
	if err != nil {
		return err
	}
	if s.span < len(s.f.spans) && !s.slow {
		s.startRead(true)
	}
	for s.lend != nil && s.lend.Lent(r.forDoor()) {
		if err := s.cut(); err != nil {
			return err
		}
		r.park()
	}
	s.slow = r.server.Now().Sub(began) > slowPiece
	r.server.files.give(p)
	return s.cut()
}

// cut returns the reason not to send the rest; nil if there is none. A client that has gone is no
// reason, because it may only have closed its own side: the door knows. A drain is no reason
// either.
func (s *fileSending) cut() error {
	if cause := s.r.cancelled; cause != nil && cause != ErrGone && cause != ErrDraining {
		return cause
	}
	return nil
}

// startRead begins to read the next piece. ahead means that the client is still taking the last
// one: then it reads only if there is memory for a large piece.
func (s *fileSending) startRead(ahead bool) {
	files := &s.r.server.files
	p := files.take(!s.slow)
	if ahead && !p.large {
		files.give(&p)
		return
	}
	s.next = p
	f, from, to, last := s.f, s.at, s.f.spans[s.span].to, s.span == len(s.f.spans)-1
	n := &s.next
	n.read = &offloaded{r: s.r, strand: s.r.running, file: true, fn: func() error {
		err := f.read(n, from, to)
		if last && from+n.n == to {
			f.shut()
		}
		return err
	}}
	_ = files.pool.start(n.read) // never refused
}

// readNext waits until the next piece is read.
func (s *fileSending) readNext() error {
	if s.next.buf == nil {
		s.startRead(false)
	}
	w := s.next.read
	if w == nil { // read before
		return nil
	}
	for !w.over {
		if err := s.cut(); err != nil {
			return err
		}
		s.r.park()
	}
	s.next.read = nil
	return w.err
}

// settle gives back what the sending has used.
func (s *fileSending) settle(failed bool) {
	files := &s.r.server.files
	if w := s.next.read; w != nil {
		if w.waiting() {
			files.pool.leave(w)
			w.over = true
		}
		for !w.over {
			s.r.park()
		}
	}
	files.give(&s.next)
	if failed {
		files.forget(&s.last)
	} else {
		files.give(&s.last)
	}
	s.r.response.dropFile()
}
