package nethttp_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// Reasons to differ from http.FileServerFS. docs/guide/files.md has each of them in these words.
const (
	whyListing  = "A directory without `index.html` is 404, and is never listed"
	whyHidden   = "A name that begins with a dot is 404, except `.well-known`"
	whyHeadPart = "`Range` has no effect on HEAD"
	whyManyPart = "A request for more than 32 ranges gets the whole file"
	whyZero     = "A request for the last 0 octets is 416"
	whyEmpty    = "`Range` has no effect on an empty file"
	whyMethod   = "Methods other than GET and HEAD are 405"
	whyEncoded  = "A `Location` is percent-encoded"
	whyLists    = "If a header field with a list is there several times, the lists are read as one"
	whyName     = "A name that no file can have is 404"
	whyHeadZero = "An answer to HEAD has `Content-Length: 0` if that to GET has no body"
	whyPlus     = "A position of a range is digits only"
)

// fileTime is when the files of the tests were changed.
var fileTime = time.Date(2026, 7, 4, 12, 30, 15, 123456789, time.UTC)

// makeFiles fills a directory.
func makeFiles(t *testing.T) string {
	dir := t.TempDir()
	long := make([]byte, 300_000)
	for i := range long {
		long[i] = byte(i * i >> 8)
	}
	for name, content := range map[string]string{
		"a.txt": "0123456789abcdef", "page": "<html><p>sniffed", "empty.txt": "", "empty": "", "octets": "\x00\x01\x02\x03",
		"index.html": "<html>root", "sub/index.html": "<html>sub", "bare/x.css": "a{}", "long.bin": string(long), "long": string(long),
		".env": "secret", ".git/config": "secret", ".well-known/acme": "token", "a b.txt": "space", "ä.txt": "umlaut", "per%cent.txt": "p",
		"sp ace/index.html": "x", "c:d/index.html": "x", "large.json": strings.Repeat(`{"a":1}`, 3000),
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, fileTime, fileTime); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bare", ".well-known"} { // http.FileServer tells their time
		if err := os.Chtimes(filepath.Join(dir, name), fileTime, fileTime); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// theirFiles is http.FileServerFS with the entity tags that ours sends.
func theirFiles(fsys fs.FS) http.Handler {
	files := http.FileServerFS(fsys)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if info, err := fs.Stat(fsys, path.Join(name, "index.html")); err == nil && strings.HasSuffix(r.URL.Path, "/") {
			tagged(w, info)
		} else if info, err := fs.Stat(fsys, name); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(r.URL.Path, "/index.html") && !strings.HasSuffix(r.URL.Path, "/") {
			tagged(w, info)
		}
		files.ServeHTTP(w, r)
	})
}

func tagged(w http.ResponseWriter, info fs.FileInfo) {
	w.Header().Set("Etag", tagOf(info.Size()))
}

func tagOf(size int64) string {
	return `"` + strconv.FormatInt(fileTime.UnixNano(), 36) + "-" + strconv.FormatInt(size, 36) + `"`
}

// A fileRow is a request for a file.
type fileRow struct {
	method, path, fields string
	differs              string
}

func fileRows() (rows []fileRow) {
	tag, other := tagOf(16), `"other"`
	at, before, after := fileTime.Format(http.TimeFormat), fileTime.Add(-time.Hour).Format(http.TimeFormat), fileTime.Add(time.Hour).Format(http.TimeFormat)
	get := func(path, fields, differs string) {
		rows = append(rows, fileRow{"GET", path, fields, differs})
		if differs != whyManyPart && !strings.Contains(fields, "Range: ") {
			rows = append(rows, fileRow{"HEAD", path, fields, differs})
		}
	}
	for _, p := range []string{"/a.txt", "/page", "/empty.txt", "/empty", "/octets", "/", "/index.html", "/sub", "/sub/", "/sub/index.html", "/sub?q=1", "/index.html?q=1",
		"/long.bin", "/long", "/large.json", "/missing", "/a.txt/", "/a.txt/x", "/sub/missing", "/a%20b.txt", "/%C3%A4.txt", "/a%2Etxt", "/per%25cent.txt",
		"/%2e%2e/secret", "/..%2f..%2fetc/passwd", "/sub%2Findex.html", "/.well-known/acme", "/a.txt?q=/index.html"} {
		get(p, "", "")
	}
	for _, p := range []string{"/bare/", "/.well-known/"} {
		get(p, "", whyListing)
	}
	for _, p := range []string{"/.env", "/.git/config"} {
		get(p, "", whyHidden)
	}
	for _, p := range []string{"/a.txt%00", "/" + strings.Repeat("n", 300)} {
		get(p, "", whyName)
	}
	get("/sp%20ace", "", whyEncoded)
	get("/c:d", "", whyEncoded)
	for _, f := range []string{
		"If-None-Match: " + tag, "If-None-Match: W/" + tag, "If-None-Match: " + other, "If-None-Match: *", "If-None-Match: " + other + ", " + tag, "If-None-Match: x, " + tag,
		"If-None-Match: " + other + "," + tag + ",", "If-None-Match: ", "If-None-Match: \"\x01\", " + tag, "If-None-Match: " + tag + "\r\nIf-Modified-Since: " + before,
		"If-None-Match: " + other + "\r\nIf-Modified-Since: " + after,
		"If-Match: " + tag, "If-Match: W/" + tag, "If-Match: " + other, "If-Match: *", "If-Match: " + other + " , " + tag, "If-Match: nonsense",
		"If-Match: " + tag + "\r\nIf-Unmodified-Since: " + before, "If-Match: " + tag + "\r\nIf-None-Match: " + tag,
		"If-Modified-Since: " + at, "If-Modified-Since: " + before, "If-Modified-Since: " + after, "If-Modified-Since: yesterday",
		"If-Modified-Since: " + fileTime.Format(time.ANSIC), "If-Modified-Since: " + strings.Replace(fileTime.Format(time.RFC850), "UTC", "GMT", 1),
		"If-Unmodified-Since: " + at, "If-Unmodified-Since: " + before, "If-Unmodified-Since: " + after, "If-Unmodified-Since: x",
		"If-Unmodified-Since: " + before + "\r\nIf-None-Match: " + tag,
	} {
		if !strings.Contains(f, "\x01") {
			get("/a.txt", f, "")
		}
	}
	get("/a.txt", "If-None-Match: "+other+"\r\nIf-None-Match: "+tag, whyLists)
	for _, ranges := range []string{"0-3", "4-", "-5", "0-0", "15-15", "0-15", "0-99", "-99", "16-", "16-20", "3-1", "a-b", "-", "", "0-3,5-6", "0-0,-1", "1-2, 4-5 ,,7-7", "0-3,90-99",
		"90-91,95-99", "0-9,3-12", "0-15,0-15", "0-1,x", "99999999999999999999-", "0-99999999999999999999", " 2-3", "2 - 3", "--3", "-x"} {
		get("/a.txt", "Range: bytes="+ranges, "")
	}
	get("/a.txt", "Range: bytes=-0", whyZero)
	get("/a.txt", "Range: bytes=+1-2", whyPlus)
	for _, value := range []string{"octets=0-1", "bytes 0-1", "bytes", "Bytes=0-1", "bytes=0-1,octets=3-4"} {
		get("/a.txt", "Range: "+value, "")
	}
	for _, condition := range []string{tag, other, "W/" + tag, at, before, after, "nonsense", `"`} {
		get("/a.txt", "Range: bytes=2-5\r\nIf-Range: "+condition, "")
	}
	get("/a.txt", "If-Range: "+other, "")
	get("/a.txt", "Range: bytes=2-5\r\nIf-None-Match: "+tag, "")
	get("/a.txt", "Range: bytes=90-\r\nIf-Match: "+other, "")
	get("/long.bin", "Range: bytes=100000-299000", "")
	get("/long", "Range: bytes=1-", "")
	get("/long", "Range: bytes=100-200,150000-290000,0-0", "")
	get("/page", "Range: bytes=6-7,9-", "")
	get("/empty.txt", "Range: bytes=0-", "")
	get("/empty.txt", "Range: bytes=-5", whyEmpty)
	get("/a.txt", "Range: bytes=0-0"+strings.Repeat(",1-1", 32)[:4*15], "")
	get("/long", "Range: bytes=0-0"+strings.Repeat(",1-1", 32), whyManyPart)
	rows = append(rows, fileRow{"HEAD", "/a.txt", "Range: bytes=0-3", whyHeadPart}, fileRow{"HEAD", "/a.txt", "Range: bytes=99-", whyHeadPart},
		fileRow{"POST", "/a.txt", "", whyMethod}, fileRow{"DELETE", "/missing", "", whyMethod})
	return rows
}

// TestFiles compares publisher.Files with http.FileServerFS.
func TestFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred connections")
	}
	file := openDifferences(t)
	if *update {
		t.Cleanup(func() { file.write(t) })
	}
	dir := makeFiles(t)
	theirs := serveTheirs(t, bind(func(w http.ResponseWriter, r *http.Request, _ func(...any)) {
		theirFiles(os.DirFS(dir)).ServeHTTP(w, r)
	}, &seen{}))
	files := publisher.Files(os.DirFS(dir))
	ours := serveOurs(t, func(r *publisher.Request) error {
		if r.Path() == endPath {
			return r.Text(200, endAnswer)
		}
		return files(r)
	})
	for i, f := range fileRows() {
		t.Run(fmt.Sprintf("%d %s %.40s %.60s", i, f.method, f.path, f.fields), func(t *testing.T) {
			request := f.method + " " + f.path + " HTTP/1.1\r\nHost: h\r\n"
			if f.fields != "" {
				request += f.fields + "\r\n"
			}
			ask := func(address string) string {
				answer := boundary.ReplaceAll(converse(t, address, request+"\r\n", ""), []byte(strings.Repeat("-", 60)))
				return render(answer, f.method, false)
			}
			got, want, pinned := ask(ours), ask(theirs), ""
			if f.method == "HEAD" && f.differs == "" && strings.Contains(got, `"Content-Length: 0"`) && !strings.HasPrefix(got, `"HTTP/1.1 200"`) {
				f.differs = whyHeadZero
			}
			file.judge(t, &row{differs: f.differs}, mounts[0].name, got, want, &pinned)
		})
	}
}

// TestFilesReasonsAreInTheGuide: a user who moves from http.FileServer finds the differences in the
// guide.
func TestFilesReasonsAreInTheGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/guide/files.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := strings.Join(strings.Fields(string(text)), " ")
	for _, why := range []string{whyListing, whyHidden, whyHeadPart, whyManyPart, whyZero, whyEmpty, whyMethod, whyEncoded, whyLists, whyPlus, whyName, whyHeadZero} {
		if !strings.Contains(guide, why) {
			t.Errorf("the guide does not say %q", why)
		}
	}
}
