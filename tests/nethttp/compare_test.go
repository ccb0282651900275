package nethttp_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"zamqp/publisher"
)

// A row is a handler and what is asked of it.
type row struct {
	name    string
	request string // "" is get
	then    string // is sent when the head of an answer has come
	handler handler
	differs string // both mounts: one of the reasons below
	inline  string // the mount Inline only

	boundary bool // the answer is a multipart one
	sameHead bool // to HEAD there is no difference
}

// These are the reasons to differ from net/http. The guide has each of them in these words;
// what our server answers instead is recorded in testdata.
const (
	whyBody     = "Under `Inline` the body has arrived before the handler is called"
	whyBuffer   = "An answer of up to 64 KiB has a `Content-Length`; net/http sends chunks from 2 KiB on"
	whyClose    = "`close` among the options of `Connection` closes the connection, in upper or lower case"
	whyCoding   = "Only `chunked` and `identity` have a meaning in `Transfer-Encoding`"
	whyContinue = "`100 Continue` is sent if no octet of the body has arrived yet"
	whyControls = "Control characters in a value are sent as spaces"
	whyDate     = "A `Date` can be set, but not left out"
	whyHijack   = "`Hijack` refuses when octets of the answer have been written"
	whyInline   = "`Inline` holds the whole answer back, and flushing does nothing"
	whyLate     = "The body can be read after the answer has begun, without `EnableFullDuplex`"
	whyLength   = "A `Content-Length` is sent once, as a plain number"
	whyOld      = "An HTTP/1.0 client gets no informational answers"
	whyPanic    = "A panic is answered with 500 if nothing has been sent yet"
	whyReset    = "205 has no body"
	whyRest     = "The connection goes on after a body that was not read, if at most 256 KiB of it are still to come"
	whyServer   = "This server reads, routes and refuses requests by its own rules"
	whySwitch   = "101 without `Hijack` fails the call"
	whyTrailers = "`Trailer` may name any field"
	whyTrailer  = "Trailers with `http.TrailerPrefix` are sent after a short body, too"
)

const get = "GET /path?q=1 HTTP/1.1\r\nHost: h\r\n\r\n"

func method(name string) string { return strings.Replace(get, "GET", name, 1) }

// with is get with more fields.
func with(fields string) string { return strings.Replace(get, "Host: h\r\n", "Host: h\r\n"+fields, 1) }

// head are the rows, and the same with HEAD.
func head(rows []row) []row {
	both := make([]row, 0, 2*len(rows))
	for _, r := range rows {
		h := r
		h.name, h.request = "HEAD "+r.name, method("HEAD")
		if r.sameHead {
			h.differs = ""
		}
		both = append(both, r, h)
	}
	return both
}

// mounts are the ways to mount a handler. Through middleware that passes everything on,
// the answers are the same.
var mounts = []struct {
	name       string
	mount      func(http.Handler) publisher.Handler
	middleware bool
}{{"HTTP", publisher.HTTP, false}, {"HTTP in middleware", publisher.HTTP, true}, {"Inline", publisher.Inline, false}}

// passOn is middleware that does nothing.
func passOn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

// compare runs each row on both servers.
func compare(t *testing.T, rows []row) {
	if testing.Short() {
		t.Skip("a server for each row")
	}
	file := openDifferences(t)
	if *update {
		t.Cleanup(func() { file.write(t) })
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.request == "" {
				row.request = get
			}
			want := row.ask(t, func(h http.Handler) string { return serveTheirs(t, h) })
			pinned := "" // what the mounts before differ in
			for _, m := range mounts {
				if m.name == "Inline" && row.inline == waits {
					continue
				}
				got := row.ask(t, func(h http.Handler) string {
					if m.middleware {
						return serveOurs(t, m.mount(h), passOn)
					}
					return serveOurs(t, m.mount(h))
				})
				file.judge(t, &row, m.name, got, want, &pinned)
			}
		})
	}
}

// waits is the reason of a row that Inline is not for.
const waits = "-"

// ask sends the request to a server and returns what the client and the handler saw.
func (r *row) ask(t *testing.T, serve func(http.Handler) string) string {
	seen := &seen{}
	answer := converse(t, serve(bind(r.handler, seen)), r.request, r.then)
	method, rest, _ := strings.Cut(r.request, " ")
	_, version, _ := strings.Cut(strings.SplitN(rest, "\r\n", 2)[0], " HTTP/")
	if r.boundary {
		answer = boundary.ReplaceAll(answer, []byte(strings.Repeat("-", 60)))
	}
	return render(answer, method, version == "1.0") + seen.String()
}

// boundary is that of mime/multipart, which is random.
var boundary = regexp.MustCompile("[0-9a-f]{60}")

func (r *row) why(mount string) string {
	if mount == "Inline" && r.inline != "" {
		return r.inline
	}
	return r.differs
}

var update = flag.Bool("update", false, "write what differs into testdata")

// differences are the recorded differences of a test's rows, in testdata/NAME.txt.
type differences struct {
	path   string
	pinned map[string]string
	mu     sync.Mutex
	found  map[string]string
}

func openDifferences(t *testing.T) *differences {
	d := &differences{path: filepath.Join("testdata", t.Name()+".txt"), pinned: map[string]string{}, found: map[string]string{}}
	text, err := os.ReadFile(d.path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for section := range strings.SplitSeq(string(text), "\n\n== ") {
		title, body, _ := strings.Cut(strings.TrimPrefix(section, "== "), "\n")
		d.pinned[title] = strings.TrimSuffix(body, "\n") + "\n"
	}
	return d
}

// judge compares the behaviour of the two servers in a row.
func (d *differences) judge(t *testing.T, r *row, mount, ours, theirs string, before *string) {
	why := r.why(mount)
	title := t.Name()
	if mount != mounts[0].name {
		title += ", " + mount
	}
	switch {
	case why == "" && ours != theirs:
		t.Errorf("%s answers\n%s\nnet/http answers\n%s", mount, ours, theirs)
		return
	case why != "" && ours == theirs:
		t.Errorf("%s: no difference to net/http is left: %s\n%s", mount, why, ours)
		return
	case why == "":
		return
	}
	text := fmt.Sprintf("%s\n-- net/http\n%s-- ours\n%s", why, theirs, ours)
	if text == *before {
		return
	}
	*before = text
	if *update {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.found[title] = text
		return
	}
	if pinned := d.pinned[title]; pinned != text {
		t.Errorf("%s differs in another way than is pinned in %s. It is\n%s\nand was\n%s", mount, d.path, text, pinned)
	}
}

// write records the differences.
func (d *differences) write(t *testing.T) {
	var b strings.Builder
	for _, title := range slices.Sorted(maps.Keys(d.found)) {
		fmt.Fprintf(&b, "== %s\n%s\n", title, d.found[title])
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if err := os.WriteFile(d.path, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

// TestReasonsAreInTheGuide: a user who moves a handler here finds the differences
// in the guide.
func TestReasonsAreInTheGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/guide/nethttp.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := strings.Join(strings.Fields(string(text)), " ")
	for _, why := range []string{whyBody, whyBuffer, whyClose, whyCoding, whyContinue, whyControls, whyDate, whyHijack, whyInline, whyLate, whyLength, whyOld, whyPanic, whyReset, whyRest, whyServer, whySwitch, whyTrailers, whyTrailer} {
		if !strings.Contains(guide, why) {
			t.Errorf("the guide does not say %q", why)
		}
	}
}
