package publisher

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"
)

// File answers with a file on the disk. name is its path, as for [os.Open]. As
// [http.ServeContent], it supports ranges, conditions (If-None-Match, If-Range and so on) and
// HEAD. It adds an entity tag made of the file's time and size, unless the handler has set an
// Etag. The content type follows from the extension, or else from the first octets.
//
// The file is opened and read on other goroutines, in pieces, while the call waits: neither a
// slow disk nor a slow client holds the loop. It is sent after the commit, as [Request.Stream]
// sends: only to HTTP requests, under [StreamTimeout], and not under server.call_timeout.
//
// A missing file or a directory is a 404, with [fs.ErrNotExist] as its cause. If the file gets
// shorter while it is sent, the connection is cut, and that is logged. Do not make name from what
// a client sends: [Files] does that safely.
func (r *Request) File(name string) error {
	open := func() (fs.File, error) { return os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) } // does not wait for the writer of a pipe
	return r.sendFile(func(*fileConditions) (foundFile, error) {
		return openFound(name, open)
	})
}

// FileFS is [Request.File] for a file of a file system, such as an embedded one.
func (r *Request) FileFS(fsys fs.FS, name string) error {
	return r.sendFile(func(*fileConditions) (foundFile, error) { return findIn(fsys, name) })
}

// A foundFile is an open file, or a redirect that is answered instead.
type foundFile struct {
	file     fs.File
	info     fs.FileInfo
	open     func() (fs.File, error) // opens it again
	name     string                  // its extension says the content type
	encoding string                  // Content-Encoding; "" for none
	vary     bool                    // the answer depends on Accept-Encoding
	tag      func(f *fileAnswer) string
	redirect string // instead of a file
}

// A fileAnswer is a file on its way to a client. The functions that open and read it run on other
// goroutines, one at a time, while the call waits.
type fileAnswer struct {
	foundFile
	server   *Server
	status   int
	fields   [][2]string
	spans    []fileSpan
	end      string // of a body of several parts
	length   int64  // of the body
	etag     string
	mimeType string
	refusal  string
	seeks    bool  // any part of the file can be read
	position int64 // in the file, if that has no ReadAt
	counted  bool  // in sentFiles.open
	first    filePiece
}

// sendFile finds a file on another goroutine, and makes it the answer.
func (r *Request) sendFile(find func(*fileConditions) (foundFile, error)) error {
	if r.toCall != nil {
		return errors.New("file: in a mounted net/http handler use http.ServeFile, which writes to its http.ResponseWriter")
	}
	if err := r.usable(); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	switch {
	case !r.source.hasClient():
		return Permanent(errors.New("file: a message's reply is sent whole: use Bytes"))
	case r.response.begun:
		return ErrSent
	}
	s := r.server
	c := r.conditions()
	etag, _ := r.response.line("Etag")
	f := &fileAnswer{server: s, etag: etag, first: s.files.take(true)}
	err := r.offloadFile(func() (err error) {
		f.foundFile, err = find(&c)
		if err == nil && f.redirect == "" {
			err = f.prepare(&c)
		}
		if err != nil || c.head || f.status >= 300 || f.first.n == f.length { // there is nothing more to read
			f.shut()
		}
		return err
	})
	if err != nil {
		f.close()
		s.files.give(&f.first)
		return err
	}
	return r.answerFile(f, c.head)
}

// offloadFile runs fn in the pool of files.
func (r *Request) offloadFile(fn func() error) error {
	w := &offloaded{r: r, strand: r.running, fn: fn, rank: r.rank(), file: true}
	return r.awaitWork(r.server.files.pool, w)
}

// answerFile makes a prepared file the answer. Loop thread.
func (r *Request) answerFile(f *fileAnswer, head bool) error {
	p := &r.response
	files := &r.server.files
	if f.status >= 400 {
		p.lines = dropLines(p.lines, describesFile)
	}
	for _, field := range f.fields {
		r.setHeader(field[0], field[1])
	}
	switch {
	case f.redirect != "":
		files.give(&f.first)
		r.setHeader("Location", f.redirect)
		return r.answer(http.StatusMovedPermanently, "", nil)
	case f.status == http.StatusRequestedRangeNotSatisfiable:
		files.give(&f.first)
		return r.text(f.status, f.refusal+"\n")
	case f.status != http.StatusOK && f.status != http.StatusPartialContent:
		files.give(&f.first)
		return r.answer(f.status, "", nil)
	case !head && f.length <= fileSmallPiece && f.first.n == f.length && len(f.spans) <= 1:
		err := r.answer(f.status, f.mimeType, f.first.content())
		files.give(&f.first)
		return err
	}
	if err := r.answer(f.status, f.mimeType, nil); err != nil {
		files.give(&f.first)
		f.close()
		return err
	}
	p.dropFile()
	p.file = f
	f.held()
	p.stream = func(w *Stream) error {
		s := &fileSending{r: w.r, f: f, stream: w}
		return s.send(head)
	}
	return nil
}

// describesFile reports whether a field describes the file. An answer that refuses the file does
// not have such fields.
func describesFile(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Cache-Control", "Content-Encoding", "Etag", "Last-Modified":
		return true
	}
	return false
}

// prepare decides what is sent of an open file, and reads the first piece of it.
func (f *fileAnswer) prepare(c *fileConditions) error {
	_, at := f.file.(io.ReaderAt)
	_, seeker := f.file.(io.Seeker)
	f.seeks = at || seeker
	size, modified := f.info.Size(), f.info.ModTime()
	if f.etag == "" {
		if f.etag = fileTag(modified, size, f.encoding); f.etag == "" && f.tag != nil {
			f.etag = f.tag(f)
		}
		f.add("Etag", f.etag)
	}
	if f.vary {
		f.add("Vary", "Accept-Encoding")
	}
	f.status = c.status(f.etag, modified)
	if f.status != http.StatusNotModified || f.etag == "" {
		if knownTime(modified) {
			f.add("Last-Modified", modified.UTC().Format(http.TimeFormat))
		}
	}
	if f.status != 0 {
		return nil
	}
	f.add("Content-Encoding", f.encoding)
	if err := f.detect(); err != nil {
		return err
	}
	if c.head || !f.seeks {
		c.ranges = "" // RFC 9110 §14.2: Range has a meaning for GET only
	}
	if f.choose(c.ranges, size); f.status == http.StatusRequestedRangeNotSatisfiable || c.head {
		return nil
	}
	s := &f.spans[0]
	return f.read(&f.first, s.from, s.to)
}

// shut closes the file. It runs on the goroutine that has read it.
func (f *fileAnswer) shut() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}

func (f *fileAnswer) add(name, value string) {
	if value != "" {
		f.fields = append(f.fields, [2]string{name, value})
	}
}

// detect finds the content type: by the extension of the name, or else by the first octets.
func (f *fileAnswer) detect() error {
	if f.mimeType = mime.TypeByExtension(path.Ext(f.name)); f.mimeType != "" || f.encoding != "" {
		return nil
	}
	const sniffed = 512 // octets that DetectContentType looks at
	if err := f.read(&f.first, 0, min(f.info.Size(), sniffed)); err != nil {
		return err
	}
	f.mimeType = http.DetectContentType(f.first.content())
	return nil
}

// choose sets the status and the parts that are sent.
func (f *fileAnswer) choose(ranges string, size int64) {
	f.spans, f.length, f.status = []fileSpan{{to: size}}, size, http.StatusOK
	spans, err := parseRanges(ranges, size)
	switch {
	case err != nil:
		if f.status, f.fields, f.refusal = http.StatusRequestedRangeNotSatisfiable, nil, err.Error(); errors.Is(err, errRangeOutside) {
			f.add("Content-Range", fmt.Sprintf("bytes */%d", size))
		}
		f.add("X-Content-Type-Options", "nosniff")
		return
	case len(spans) == 1:
		f.spans, f.length, f.status = spans, spans[0].to-spans[0].from, http.StatusPartialContent
		f.add("Content-Range", spans[0].contentRange(size))
	case len(spans) > 1:
		boundary, end := multipart(spans, f.mimeType, size)
		f.spans, f.end, f.length, f.status = spans, end, int64(len(end)), http.StatusPartialContent
		for i := range spans {
			f.length += int64(len(spans[i].before)) + spans[i].to - spans[i].from
		}
		f.mimeType = "multipart/byteranges; boundary=" + boundary
	}
	if f.seeks {
		f.add("Accept-Ranges", "bytes")
	}
}

// fileTag returns the entity tag of a file, made of its time and size; "" if there is no time. It
// is a strong one, because systems keep the time with fractions of a second. RFC 9110 §8.8.3.
func fileTag(modified time.Time, size int64, encoding string) string {
	if !knownTime(modified) {
		return ""
	}
	tag := `"` + strconv.FormatInt(modified.UnixNano(), 36) + "-" + strconv.FormatInt(size, 36)
	if encoding != "" {
		tag += "-" + encoding
	}
	return tag + `"`
}

// openFound opens a file, and checks that it is a regular one.
func openFound(name string, open func() (fs.File, error)) (found foundFile, err error) {
	file, err := open()
	if err != nil {
		return found, fileError(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "send", Path: name, Err: errNotRegular}
		if info.IsDir() {
			err = &fs.PathError{Op: "send", Path: name, Err: errDirectory}
		}
	}
	if err != nil {
		_ = file.Close()
		return found, fileError(err)
	}
	return foundFile{file: file, info: info, open: open, name: name}, nil
}

// Errors for something that exists, but is not a file that can be sent.
var (
	errDirectory  error = notFile("it is a directory")
	errNotRegular error = notFile("it is a pipe, a device or a socket")
)

type notFile string

func (e notFile) Error() string      { return string(e) }
func (notFile) Is(target error) bool { return target == fs.ErrNotExist }

// findIn opens a file of a file system. If the file system has Stat, it looks at the mode first,
// because opening a pipe would wait for its writer.
func findIn(fsys fs.FS, name string) (foundFile, error) {
	if s, ok := fsys.(fs.StatFS); ok {
		if info, err := s.Stat(name); err != nil {
			return foundFile{}, fileError(err)
		} else if info.IsDir() {
			return foundFile{}, fileError(&fs.PathError{Op: "send", Path: name, Err: errDirectory})
		} else if !info.Mode().IsRegular() {
			return foundFile{}, fileError(&fs.PathError{Op: "send", Path: name, Err: errNotRegular})
		}
	}
	return openFound(name, func() (fs.File, error) { return fsys.Open(name) })
}

// fileError gives the error of opening a file its status. The client is not told the file's name.
func fileError(err error) error {
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG),
		errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EINVAL), errors.As(err, &p) && p.Err.Error() == "path escapes from parent": // of os.Root
		return &StatusError{Status: http.StatusNotFound, Text: "404 page not found", Cause: err}
	case errors.Is(err, fs.ErrPermission):
		return &StatusError{Status: http.StatusForbidden, Text: "403 Forbidden", Cause: err}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		s := &StatusError{Status: http.StatusServiceUnavailable, Cause: err}
		return s.With(retryAfter, "1")
	}
	return fmt.Errorf("file: %w", err)
}
