package publishertest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// onlyReads is a file system whose files can be read once, from their beginning.
type onlyReads struct{ fstest.MapFS }

func (f onlyReads) Open(name string) (fs.File, error) {
	file, err := f.MapFS.Open(name)
	return struct{ fs.File }{file}, err
}

func TestFileOfTheDisk(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("0123456789", 50_000)
	for name, text := range map[string]string{"a.txt": "text", "long.css": long, "page": "<html>x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	g := publisher.NewRegistry()
	var failure error
	g.Handle("GET /{name}", func(r *publisher.Request) error {
		r.SetHeader("Cache-Control", "max-age=60")
		failure = r.File(filepath.Join(dir, r.PathValue("name")))
		return failure
	})
	g.Handle("GET /own/{name}", func(r *publisher.Request) error {
		r.SetHeader("ETag", `"v7"`)
		return r.File(filepath.Join(dir, r.PathValue("name")))
	})
	g.Handle("GET /instead", func(r *publisher.Request) error {
		if err := r.File(filepath.Join(dir, "long.css")); err != nil {
			return err
		}
		return r.Text(200, "a later answer replaces it")
	})
	g.Handle("GET /fails", func(r *publisher.Request) error {
		_ = r.File(filepath.Join(dir, "long.css"))
		return errors.New("on purpose")
	})
	g.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error { return r.File(filepath.Join(dir, "a.txt")) })
	s := publishertest.New(t, g)
	got := s.Request("GET", "/a.txt", "", "")
	if got.Status != 200 || got.Body != "text" || got.ContentType != "text/plain; charset=utf-8" || got.Header.Get("Cache-Control") == "" || got.Header.Get("Last-Modified") == "" {
		t.Errorf("%+v", got)
	}
	if again := s.Request("GET", "/a.txt", "", "", "If-None-Match: "+got.Header.Get("Etag")); again.Status != 304 || again.Body != "" {
		t.Errorf("%+v", again)
	}
	if got := s.Request("GET", "/long.css", "", ""); got.Body != long || got.ContentType != "text/css; charset=utf-8" || got.Err != nil {
		t.Errorf("%d octets, %v", len(got.Body), got.Err)
	}
	if got := s.Request("HEAD", "/long.css", "", ""); got.Status != 200 || got.Body != "" || got.Err != nil {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/long.css", "", "", "Range: bytes=200000-399999"); got.Status != 206 || got.Body != long[200_000:400_000] || got.Header.Get("Content-Range") != "bytes 200000-399999/500000" {
		t.Errorf("%d, %d octets, %v", got.Status, len(got.Body), got.Header)
	}
	if got := s.Request("GET", "/a.txt", "", "", "Range: bytes=9-"); got.Status != 416 || got.Header.Get("Cache-Control") != "" || got.Header.Get("Content-Range") != "bytes */4" {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/page", "", ""); got.ContentType != "text/html; charset=utf-8" || got.Body != "<html>x" {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/own/a.txt", "", "", `If-None-Match: "v7"`); got.Status != 304 || len(got.Header.Values("Etag")) != 1 {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"missing", "pipe", "loop", strings.Repeat("n", 256), "a%00b"} {
		if got := s.Request("GET", "/"+name, "", ""); got.Status != 404 || got.Body != "404 page not found\n" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	s.Request("GET", "/missing", "", "")
	if !errors.Is(failure, fs.ErrNotExist) || !strings.Contains(failure.Error(), "missing") {
		t.Error(failure)
	}
	if got := s.Request("GET", "/instead", "", ""); got.Body != "a later answer replaces it" || got.Err != nil {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/fails", "", ""); got.Status != 500 {
		t.Errorf("%+v", got)
	}
	if got := s.Deliver("c", publisher.Publishing{}); got.Settlement != publisher.SettleDeadLetter || !strings.Contains(got.Err.Error(), "use Bytes") {
		t.Errorf("%+v", got)
	}
	s.Request("GET", "/a.txt", "", "") // the files of the calls before it are closed meanwhile
	if open := openIn(dir); len(open) > 0 {
		t.Errorf("still open: %v", open)
	}
}

// openIn are this process's open files in a directory.
func openIn(dir string) (open []string) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, dir) {
			open = append(open, to)
		}
	}
	return open
}

func TestFilesOfAnEmbeddedFileSystem(t *testing.T) {
	page := strings.Repeat("<p>page</p>", 20_000)
	m := fstest.MapFS{
		"index.html": {Data: []byte("root")}, "app.js": {Data: []byte("long script")}, "app.js.br": {Data: []byte("brotli")}, "app.js.gz": {Data: []byte("gzip")},
		"page.html": {Data: []byte(page)}, ".hidden": {Data: []byte("secret")}, "old.js": {Data: []byte("new"), ModTime: time.Unix(2000, 0)},
		"old.js.gz": {Data: []byte("stale"), ModTime: time.Unix(1000, 0)}, "dir/x": {Data: []byte("x")},
	}
	g := publisher.NewRegistry()
	g.Handle("GET /static/{path...}", publisher.Files(m))
	g.Handle("GET /packed/", publisher.Files(m, publisher.Precompressed, publisher.DotFiles))
	g.Handle("GET /once/{path...}", publisher.Files(onlyReads{m}))
	g.Handle("GET /one", func(r *publisher.Request) error { return r.FileFS(m, "dir/x") })
	g.Handle("GET /wrong/{a}", publisher.Files(m))
	g.Handle("GET /cached/{path...}", func(r *publisher.Request) error {
		r.SetHeader("Cache-Control", "max-age=3600")
		return publisher.Files(m)(r)
	})
	s := publishertest.New(t, g)
	for _, row := range []struct {
		target, fields string
		status         int
		body, encoding string
	}{
		{"/static/", "", 200, "root", ""},
		{"/static/app.js", "Accept-Encoding: br", 200, "long script", ""},
		{"/static/.hidden", "", 404, "404 page not found\n", ""},
		{"/static/dir/", "", 404, "404 page not found\n", ""},
		{"/static/page.html", "", 200, page, ""},
		{"/packed/app.js", "Accept-Encoding: gzip, br", 200, "brotli", "br"},
		{"/packed/app.js", "Accept-Encoding: gzip;q=0.5, br;q=0", 200, "gzip", "gzip"},
		{"/packed/app.js", "Accept-Encoding: identity", 200, "long script", ""},
		{"/packed/app.js", "", 200, "long script", ""},
		{"/packed/old.js", "Accept-Encoding: gzip", 200, "new", ""},
		{"/packed/.hidden", "", 200, "secret", ""},
		{"/once/page.html", "", 200, page, ""},
		{"/once/page.html", "Range: bytes=0-3", 200, page, ""},
		{"/one", "", 200, "x", ""},
		{"/wrong/app.js", "", 500, "Internal Server Error\n", ""},
		{"/cached/app.js", "", 200, "long script", ""},
		{"/cached/none.js", "", 404, "404 page not found\n", ""},
	} {
		var fields []string
		if row.fields != "" {
			fields = []string{row.fields}
		}
		got := s.Request("GET", row.target, "", "", fields...)
		if got.Status != row.status || got.Body != row.body || got.Header.Get("Content-Encoding") != row.encoding {
			t.Errorf("%s, %s: %d %.100q %v", row.target, row.fields, got.Status, got.Body, got.Header)
		}
		if packed := strings.HasPrefix(row.target, "/packed/"); (got.Header.Get("Vary") == "Accept-Encoding") != packed {
			t.Errorf("%s: Vary %q", row.target, got.Header.Get("Vary"))
		}
		if cached := strings.HasPrefix(row.target, "/cached/") && got.Status == 200; (got.Header.Get("Cache-Control") != "") != cached {
			t.Errorf("%s: %v", row.target, got.Header)
		}
		if row.encoding != "" && !strings.Contains(got.ContentType, "javascript") {
			t.Errorf("%s: %s", row.target, got.ContentType)
		}
		if ranges := got.Header.Get("Accept-Ranges"); row.status == 200 && (ranges == "") != strings.HasPrefix(row.target, "/once/") {
			t.Errorf("%s: Accept-Ranges %q", row.target, ranges)
		}
		tag := got.Header.Get("Etag")
		if (tag != "") != (got.Status == 200 && !strings.HasPrefix(row.target, "/once/")) && row.target != "/one" {
			t.Errorf("%s: tag %q", row.target, tag)
		}
		if tag == "" {
			continue
		}
		if again := s.Request("GET", row.target, "", "", append(fields, "If-None-Match: "+tag)...); again.Status != 304 {
			t.Errorf("%s again: %d", row.target, again.Status)
		}
	}
}

// TestFilesBehindALink: an os.Root keeps links inside, which os.DirFS does not.
func TestFilesBehindALink(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	g := publisher.NewRegistry()
	g.Handle("GET /rooted/{path...}", publisher.Files(root.FS()))
	g.Handle("GET /dir/{path...}", publisher.Files(os.DirFS(dir)))
	s := publishertest.New(t, g)
	if got := s.Request("GET", "/rooted/link", "", ""); got.Status != 404 {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/dir/link", "", ""); got.Body != "secret" {
		t.Errorf("%+v", got)
	}
}
