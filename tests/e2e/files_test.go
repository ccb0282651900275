package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

// fileDir is the directory that the handlers of the files serve. Tests set it.
var fileDir atomic.Value

// served is a file system over fileDir.
type served struct{}

func (served) Open(name string) (fs.File, error) {
	return os.DirFS(fileDir.Load().(string)).Open(name)
}

func init() {
	publisher.Handle("GET /files/{path...}", publisher.Files(served{}))
	publisher.Handle("GET /file/{name}", func(r *publisher.Request) error {
		r.SetHeader("Content-Disposition", "attachment")
		return r.File(filepath.Join(fileDir.Load().(string), r.PathValue("name")))
	})
	publisher.Handle("GET /file-published/{name}", func(r *publisher.Request) error {
		_ = r.Publish("e2e-done", "sent")
		return r.File(filepath.Join(fileDir.Load().(string), r.PathValue("name")))
	})
}

// serveFiles makes a directory with files of random octets.
func serveFiles(t *testing.T, sizes map[string]int) (content map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	fileDir.Store(dir)
	content = map[string][]byte{}
	for name, size := range sizes {
		b := make([]byte, size)
		_, _ = rand.Read(b)
		content[name] = b
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return content
}

// TestFileAnswers: of all sizes, whole and in parts, with and without TLS.
func TestFileAnswers(t *testing.T) {
	content := serveFiles(t, map[string]int{"none": 0, "one": 1, "small": 16 << 10, "more": 16<<10 + 1, "piece": 127 << 10, "long": 127<<10 + 1, "large": 3<<20 + 17})
	own := selfsigned.New(t)
	s, at := startTLS(t, own)
	secure := httpsClient(&tls.Config{RootCAs: own.Pool})
	for base, c := range map[string]*http.Client{s.url: http.DefaultClient, "https://" + at: secure} {
		for name, want := range content {
			for _, path := range []string{"/files/", "/file/", "/file-published/"} {
				resp, got := ask(t, c, base+path+name)
				if resp.StatusCode != 200 || got != string(want) || resp.ContentLength != int64(len(want)) || resp.Header.Get("Accept-Ranges") != "bytes" {
					t.Errorf("%s%s%s: %d, %d octets of %d, %v", base, path, name, resp.StatusCode, len(got), len(want), resp.Header)
				}
				if disposition := resp.Header.Get("Content-Disposition"); (disposition != "") != (path == "/file/") {
					t.Errorf("%s%s: %q", path, name, disposition)
				}
			}
		}
		large := content["large"]
		for _, row := range []struct{ ranges, want string }{
			{"bytes=100-1000099", string(large[100:1_000_100])},
			{"bytes=-200000", string(large[len(large)-200_000:])},
			{"bytes=3145744-", string(large[3145744:])},
		} {
			req, _ := http.NewRequest("GET", base+"/files/large", nil)
			req.Header.Set("Range", row.ranges)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != 206 || string(got) != row.want {
				t.Errorf("%s: %d, %d octets, %v", row.ranges, resp.StatusCode, len(got), err)
			}
		}
		if resp, _ := ask(t, c, base+"/file/missing"); resp.StatusCode != 404 {
			t.Errorf("missing: %d", resp.StatusCode)
		}
	}
	if s.failedWith("/files/") {
		t.Error("a file that was sent is a failure in the log")
	}
	wait.Until(t, "nothing is held", func() bool { return s.metric("files_open")+s.metric("file_buffer_bytes") == 0 })
}

// sparse makes a long file that takes no room on the disk.
func sparse(t *testing.T, name string, size int64) {
	t.Helper()
	name = filepath.Join(fileDir.Load().(string), name)
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
}

// slowly asks for a file by a socket with a small buffer, and reads no more than the head.
func slowly(t *testing.T, at, path string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	nc, err := d.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
	in := bufio.NewReaderSize(nc, 512)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	return nc, in, resp
}

// TestFileThatShrinks: the client sees that a part is missing, and the log says why.
func TestFileThatShrinks(t *testing.T) {
	serveFiles(t, nil)
	s := start(t, embedded)
	const size = 64 << 20
	sparse(t, "f", size)
	_, _, resp := slowly(t, strings.TrimPrefix(s.url, "http://"), "/files/f")
	if err := os.Truncate(filepath.Join(fileDir.Load().(string), "f"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= size {
		t.Errorf("%d octets, %v", n, err)
	}
	wait.Until(t, "the log says why", func() bool { return s.failedWith("has become shorter") })
	wait.Until(t, "nothing is held", func() bool { return s.metric("files_open")+s.metric("file_buffer_bytes") == 0 })
}

// openFiles counts this process's descriptors of files in fileDir.
func openFiles(t *testing.T) (n int) {
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, l := range links {
		if to, err := os.Readlink("/proc/self/fd/" + l.Name()); err == nil && strings.HasPrefix(to, fileDir.Load().(string)) {
			n++
		}
	}
	return n
}

// TestSlowDownloads: a thousand clients that do not read use a bounded number of descriptors and
// octets, and do not hold up others. Those that read again get the rest.
func TestSlowDownloads(t *testing.T) {
	content := serveFiles(t, map[string]int{"quick": 1 << 20})
	s := start(t, embedded)
	at := strings.TrimPrefix(s.url, "http://")
	clients, files := 1000, 400
	if testing.Short() {
		clients, files = 300, 280
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) < uint64(2*clients+publisher.FilesOpenMax+200) {
		t.Skipf("needs more descriptors than %d (%v)", limit.Cur, err)
	}
	const size = 16 << 20
	for i := range files {
		sparse(t, fmt.Sprint("slow", i), size)
	}
	before := heap()
	var all []net.Conn
	var bodies []io.Reader
	for i := range clients {
		nc, _, resp := slowly(t, at, fmt.Sprint("/files/slow", i%files))
		all, bodies = append(all, nc), append(bodies, resp.Body)
	}
	wait.Until(t, "all are being sent", func() bool { return s.metric("streams") == float64(clients) })
	if n := openFiles(t); n > publisher.FilesOpenMax+8 {
		t.Errorf("%d descriptors of files are open", n)
	}
	if n := s.metric("file_buffer_bytes"); n > 32<<20 {
		t.Errorf("%v octets in large buffers", n)
	}
	used := heap() - before
	t.Logf("%d downloads: %d KiB each of heap, with their clients; %d descriptors; %v octets of large buffers", clients, used/clients/1024, openFiles(t), s.metric("file_buffer_bytes"))
	if most := 40<<20 + clients*(64<<10); used > most {
		t.Errorf("%d octets of heap, want at most %d", used, most)
	}
	if resp, got := ask(t, http.DefaultClient, s.url+"/files/quick"); resp.StatusCode != 200 || got != string(content["quick"]) {
		t.Errorf("a quick client: %d, %d octets", resp.StatusCode, len(got))
	}
	for _, i := range []int{0, clients / 2, clients - 1} { // the last ones have no descriptor
		if n, err := io.Copy(io.Discard, bodies[i]); err != nil || n != size {
			t.Errorf("download %d: %d octets, %v", i, n, err)
		}
	}
	replaced := clients - 2
	name := filepath.Join(fileDir.Load().(string), fmt.Sprint("slow", replaced%files))
	if err := os.WriteFile(name+".new", bytes.Repeat([]byte("x"), size), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, bodies[replaced]); err == nil {
		t.Errorf("a file that was replaced while it was not open: %d octets", n)
	}
	for _, nc := range all {
		_ = nc.Close()
	}
	wait.Until(t, "nothing is held", func() bool {
		return s.metric("streams") == 0 && s.metric("files_open")+s.metric("file_buffer_bytes") == 0
	})
	wait.Until(t, "all are closed", func() bool { return openFiles(t) == 0 })
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestManyDownloadsAtOnce: the loop's turn and the files' pool are shared, and nothing is mixed up.
func TestManyDownloadsAtOnce(t *testing.T) {
	content := serveFiles(t, map[string]int{"a": 700_001, "b": 300_000, "c": 10_000})
	s := start(t, embedded)
	sums := map[string][32]byte{}
	for name, b := range content {
		sums[name] = sha256.Sum256(b)
	}
	ended := make(chan error, 30)
	for i := range cap(ended) {
		go func() {
			c := &http.Client{Timeout: patience, Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for j := range 10 {
				name := string(rune('a' + (i+j)%3))
				resp, err := c.Get(s.url + "/files/" + name)
				if err != nil {
					ended <- err
					return
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || sha256.Sum256(got) != sums[name] {
					ended <- fmt.Errorf("%s: %d octets, %v", name, len(got), err)
					return
				}
			}
			ended <- nil
		}()
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
