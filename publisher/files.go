package publisher

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// A FilesOption is an option of [Files].
type FilesOption func(*fileTree)

// DotFiles also sends files and directories whose names begin with a dot. Such files are often
// there by mistake, and secret: .git, .env, .htpasswd. Without this option only .well-known is
// sent.
func DotFiles(t *fileTree) { t.dots = true }

// Precompressed sends the file NAME.br, NAME.zst or NAME.gz in place of NAME, if it is there, is not
// older, and the client accepts its encoding.
func Precompressed(t *fileTree) { t.packed = true }

// Files returns a handler that answers GET and HEAD with the files of a file system. The file's
// name is the part of the path that follows the literal part of the route's pattern.
//
//	publisher.Handle("GET /static/{path...}", publisher.Files(assets))
//
// It sends a file as [Request.File] does. For a directory it sends the index.html; it never lists
// a directory. As [http.FileServerFS], it redirects to the directory's path with a slash at its
// end, and from index.html to its directory.
//
// A name cannot leave the file system by "..". A symbolic link in an [os.DirFS] can: use the FS
// of an [os.Root] where others may make links. Without modification times, as in an [embed.FS],
// the entity tag is a hash of the content, which is computed once: such files must not change.
func Files(fsys fs.FS, options ...FilesOption) Handler {
	t := &fileTree{fs: fsys, tags: map[string]string{}}
	for _, option := range options {
		option(t)
	}
	return t.answer
}

// A fileTree is the file system of a handler.
type fileTree struct {
	fs     fs.FS
	dots   bool
	packed bool

	mu   sync.Mutex
	tags map[string]string // entity tags of files without a time
}

// fileTagsMax bounds the entity tags that are kept, because a file system may generate any number
// of files.
const fileTagsMax = 10_000

func (t *fileTree) answer(r *Request) error {
	if m := string(r.method); m != http.MethodGet && m != http.MethodHead && r.source.hasClient() {
		r.SetHeader("Allow", "GET, HEAD")
		return r.Text(http.StatusMethodNotAllowed, "Method Not Allowed\n")
	}
	name, err := r.fileName()
	if err != nil {
		return err
	}
	url, query := r.Path(), string(r.query)
	err = r.sendFile(func(c *fileConditions) (foundFile, error) {
		found, err := t.find(name, url, c)
		if found.redirect != "" && query != "" {
			found.redirect += "?" + query
		}
		return found, err
	})
	var s *StatusError
	if !errors.As(err, &s) || s.Status >= 500 || !r.live {
		return err
	}
	// A file that cannot be sent does not fail the call.
	r.response.lines = dropLines(r.response.lines, describesFile)
	r.setHeader("X-Content-Type-Options", "nosniff")
	return r.answerError(err, s.Status, s.Text)
}

// fileName returns the part of the path that follows the literal part of the route's pattern,
// unescaped.
func (r *Request) fileName() (string, error) {
	rest := r.path
	last := -1
	if r.route != nil {
		last = len(r.route.segments) - 1
	}
	if last < 0 || !r.route.segments[last].multi {
		return "", fmt.Errorf("publisher.Files serves what follows the literal part of a pattern: %q must end in a slash or in {path...}", r.Pattern())
	}
	for range last {
		_, rest = firstSegment(rest)
	}
	return unescape(string(rest)), nil
}

// find opens the file whose name is the rest of a URL's path. It runs on another goroutine.
func (t *fileTree) find(rest, url string, c *fileConditions) (found foundFile, err error) {
	if strings.HasSuffix(url, "/index.html") {
		return foundFile{redirect: "./"}, nil
	}
	name := strings.TrimPrefix(path.Clean("/"+rest), "/")
	if name == "" {
		name = "."
	}
	if !t.allows(rest) || !fs.ValidPath(name) {
		return found, fileError(&fs.PathError{Op: "send", Path: name, Err: fs.ErrNotExist})
	}
	slash := strings.HasSuffix(url, "/")
	found, err = t.open(name, c)
	switch {
	case err == nil && slash: // the root of the file system is a file: no path leads there
		_ = found.file.Close()
		if base := path.Base(url); base != "/" {
			return foundFile{redirect: relative("../", base, "")}, nil
		}
		return foundFile{}, fileError(&fs.PathError{Op: "send", Path: name, Err: fs.ErrNotExist})
	case err == nil, !errors.Is(err, errDirectory):
		return found, err
	case !slash:
		return foundFile{redirect: relative("", path.Base(url), "/")}, nil
	}
	return t.open(path.Join(name, "index.html"), c)
}

// relative returns a reference to a name that is relative to the URL's path. RFC 3986 §4.2.
func relative(before, base, after string) string {
	if before == "" && strings.Contains(base, ":") {
		before = "./"
	}
	return encodeTarget(before + strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23").Replace(base) + after)
}

// allows reports whether a file may be sent by its name: no element of the name is hidden, or is
// "..".
func (t *fileTree) allows(name string) bool {
	if strings.ContainsAny(name, "\\\x00") {
		return false
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." || strings.HasPrefix(element, ".") && !t.dots && element != ".well-known" {
			return false
		}
	}
	return true
}

// open opens a file, or its compressed copy if the client accepts that encoding.
func (t *fileTree) open(name string, c *fileConditions) (foundFile, error) {
	found, err := findIn(t.fs, name)
	if err != nil {
		return found, err
	}
	found.tag, found.vary = t.tag, t.packed
	if !t.packed {
		return found, nil
	}
	for _, p := range [...]struct{ coding, extension string }{{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}} {
		if !acceptsCoding(c.encodings, p.coding) {
			continue
		}
		packed, err := findIn(t.fs, name+p.extension)
		if err != nil {
			continue
		}
		if packed.info.ModTime().Before(found.info.ModTime()) {
			_ = packed.file.Close()
			continue
		}
		_ = found.file.Close()
		packed.name, packed.encoding, packed.tag, packed.vary = name, p.coding, t.tag, true
		return packed, nil
	}
	return found, nil
}

// acceptsCoding reports whether Accept-Encoding names a coding with a weight over 0. RFC 9110
// §12.5.3.
func acceptsCoding(field, coding string) bool {
	for item := range strings.SplitSeq(field, ",") {
		name, weight, weighted := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		if !weighted {
			return true
		}
		_, q, _ := strings.Cut(weight, "=")
		w, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return err == nil && w > 0
	}
	return false
}

// tag returns the entity tag of a file without a time: a hash of its content; "" if it cannot be
// read. It runs on another goroutine.
func (t *fileTree) tag(f *fileAnswer) string {
	if !f.seeks {
		return ""
	}
	key := f.name + "\x00" + f.encoding
	t.mu.Lock()
	tag := t.tags[key]
	full := len(t.tags) >= fileTagsMax
	t.mu.Unlock()
	if tag != "" || full {
		return tag
	}
	h := xxhash.New()
	for at, size := int64(0), f.info.Size(); at < size; at += f.first.n {
		if f.read(&f.first, at, size) != nil {
			return ""
		}
		_, _ = h.Write(f.first.content())
	}
	tag = `"` + strconv.FormatUint(h.Sum64(), 36) + "-" + strconv.FormatInt(f.info.Size(), 36) + `"`
	t.mu.Lock()
	t.tags[key] = tag
	t.mu.Unlock()
	return tag
}
