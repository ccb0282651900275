package nethttp_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// plain makes a row's handler of one that tells nothing.
func plain(h http.Handler) handler {
	return func(w http.ResponseWriter, r *http.Request, _ func(...any)) { h.ServeHTTP(w, r) }
}

// conditions are the ways to ask for a resource that has a tag and a date.
var conditions = map[string]string{
	"":                      "",
	"range":                 "Range: bytes=2-5\r\n",
	"range of the end":      "Range: bytes=-3\r\n",
	"range beyond":          "Range: bytes=100000-\r\n",
	"ranges":                "Range: bytes=0-1,4-5\r\n",
	"if-none-match":         "If-None-Match: \"tag\"\r\n",
	"if-none-match, other":  "If-None-Match: \"other\"\r\n",
	"if-match, other":       "If-Match: \"other\"\r\n",
	"if-modified-since":     "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT\r\n",
	"if-modified, before":   "If-Modified-Since: Thu, 01 Jan 2015 00:00:00 GMT\r\n",
	"if-unmodified, before": "If-Unmodified-Since: Thu, 01 Jan 2015 00:00:00 GMT\r\n",
	"if-range":              "If-Range: \"tag\"\r\nRange: bytes=2-5\r\n",
	"if-range, other":       "If-Range: \"other\"\r\nRange: bytes=2-5\r\n",
}

var modified = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

func TestFilesAndContent(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "0123456789", "page.html": "<p>", "without": "\x00\x01", "large.bin": strings.Repeat("large", 100_000), "sub/index.html": "<h1>"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), os.Chtimes(path, modified, modified)); err != nil {
			t.Fatal(err)
		}
	}
	files := plain(http.FileServer(http.Dir(dir)))
	content := plain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"tag"`)
		http.ServeContent(w, r, "a.txt", modified, strings.NewReader("0123456789"))
	}))
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"tag"`)
		w.Header().Set("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
		if r.URL.Path == "/stream" {
			_, _ = io.WriteString(w, "piece")
			w.(http.Flusher).Flush()
			return
		}
		http.ServeContent(w, r, "a.txt", modified, strings.NewReader("0123456789"))
	}))
	t.Cleanup(backend.Close)
	to, _ := url.Parse(backend.URL)
	proxy := plain(httputil.NewSingleHostReverseProxy(to))
	var rows []row
	for name, fields := range conditions {
		for _, method := range []string{"GET", "HEAD"} {
			for kind, h := range map[string]handler{"file": files, "content": content, "proxy": proxy} {
				r := row{name: strings.TrimSpace(fmt.Sprint(kind, " ", method, " ", name)), handler: h,
					request: strings.Replace(method+target("/a.txt")[len("GET"):], "Host: h\r\n", "Host: h\r\n"+fields, 1)}
				if name == "ranges" { // their boundary is random
					r.boundary = true
				}
				if kind == "proxy" {
					r.inline = waits
				}
				rows = append(rows, r)
			}
		}
	}
	for _, path := range []string{"/", "/sub/", "/sub", "/sub/index.html", "/missing", "/page.html", "/without", "/large.bin", "/a.txt/", "/../a.txt", "/%2e%2e/a.txt"} {
		r := row{name: "file " + path, request: target(path), handler: files}
		if path == "/../a.txt" {
			r.differs = whyServer
		}
		rows = append(rows, r)
		r.name, r.request = "HEAD "+r.name, strings.Replace(r.request, "GET", "HEAD", 1)
		if r.differs != "" {
			continue
		}
		rows = append(rows, r)
	}
	rows = append(rows,
		row{name: "proxied stream", request: target("/stream"), inline: waits, handler: proxy},
		row{name: "HEAD proxied stream", request: strings.Replace(target("/stream"), "GET", "HEAD", 1), inline: waits, handler: proxy},
		row{name: "proxied post", request: post("Content-Length: 4\r\n", "body"), inline: waits, handler: proxy},
		row{name: "proxied chunked post", request: post("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n"), inline: waits, handler: proxy},
		row{name: "proxy to nobody", inline: waits, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			nobody := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})
			nobody.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
			nobody.ServeHTTP(w, r)
		}},
	)
	compare(t, rows)
}

func TestMiddleware(t *testing.T) {
	text := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "text of ", r.URL.Path) })
	reads := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		fmt.Fprint(w, len(body), err)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /items/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.PathValue("id"), r.Pattern) }))
	mux.Handle("POST /items/{id}", text)
	mux.Handle("/tree/", text)
	mux.Handle("/files/{path...}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.PathValue("path")) }))
	mux.Handle("/exact/{$}", text)
	mux.Handle("other.example/", text)
	slow := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	body := strings.Repeat("b", 100)
	long := post("Content-Length: 100\r\n", body)
	rows := []row{
		{name: "strip prefix", request: target("/api/x?q"), handler: plain(http.StripPrefix("/api", text))},
		{name: "strip prefix, other path", request: target("/other"), handler: plain(http.StripPrefix("/api", text))},
		{name: "strip prefix, escaped", request: target("/a%20b/x%2Fy"), handler: plain(http.StripPrefix("/a b", text))},
		{name: "max bytes", request: long, handler: plain(http.MaxBytesHandler(reads, 100))},
		{name: "max bytes, too many", differs: whyRest, request: long, handler: plain(http.MaxBytesHandler(reads, 99))},
		{name: "max bytes reader", differs: whyRest, request: long, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			r.Body = http.MaxBytesReader(w, r.Body, 10)
			b, err := io.ReadAll(r.Body)
			see(len(b), err)
			write("text")(w, r, see)
		}},
		{name: "timeout", inline: waits, handler: plain(http.TimeoutHandler(http.HandlerFunc(slow), time.Millisecond, "too slow"))},
		{name: "timeout that is not reached", handler: plain(http.TimeoutHandler(text, time.Hour, "too slow"))},
		{name: "timeout around a panic", differs: whyPanic, handler: plain(http.TimeoutHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("on purpose") }), time.Hour, ""))},
		{name: "timeout around an abort", handler: plain(http.TimeoutHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), time.Hour, ""))},
		{name: "redirect", handler: plain(http.RedirectHandler("/elsewhere?a=ä", http.StatusFound))},
		{name: "redirect, HEAD", request: method("HEAD"), handler: plain(http.RedirectHandler("/elsewhere", http.StatusMovedPermanently))},
		{name: "redirect, POST", request: post("", ""), handler: plain(http.RedirectHandler("elsewhere", http.StatusSeeOther))},
		{name: "not found", handler: plain(http.NotFoundHandler())},
		{name: "not found, HEAD", request: method("HEAD"), handler: plain(http.NotFoundHandler())},
		{name: "error", handler: func(w http.ResponseWriter, r *http.Request, _ func(...any)) {
			w.Header().Set("Content-Length", "1")
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("ETag", "x")
			http.Error(w, "went wrong", http.StatusTeapot)
		}},
		{name: "basic auth", request: with("Authorization: Basic YTpi\r\n"), handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) { see(r.BasicAuth()) }},
		{name: "cookies", request: with("Cookie: a=1; b=\"2\"\r\nCookie: c=3\r\n"), handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			for _, c := range r.Cookies() {
				see(c.String())
			}
		}},
		{name: "form", request: post("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n", "a=1&b=2"),
			handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
				see(r.ParseForm(), r.Form, r.PostForm, r.FormValue("b"))
			}},
		{name: "multipart", request: post("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 85\r\n", "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n\"\r\n\r\ncontent of it\r\n--x--\r\n"),
			handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
				f, h, err := r.FormFile("f")
				if err != nil {
					see(err)
					return
				}
				b, err := io.ReadAll(f)
				see(h.Filename, h.Size, string(b), err)
			}},
		{name: "gzip", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			see(io.Copy(z, bytes.NewReader([]byte("some text"))))
			see(z.Close())
		}},
		{name: "cross origin", request: strings.Replace(long, "\r\n\r\n", "\r\nSec-Fetch-Site: cross-site\r\n\r\n", 1), handler: plain(http.NewCrossOriginProtection().Handler(text))},
	}
	for _, request := range []string{
		target("/items/7"), method("HEAD")[:5] + "/items/7" + method("HEAD")[len("HEAD /path?q=1"):], "DELETE /items/7 HTTP/1.1\r\nHost: h\r\n\r\n", target("/items/a%2Fb"), target("/items/"),
		target("/tree"), target("/tree/a/b"), target("/files/a/b%20c"), target("/exact"), target("/exact/"), target("/exact/x"), target("/missing"),
		"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n", "GET / HTTP/1.1\r\nHost: other.example:80\r\n\r\n", "OPTIONS /items/7 HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		rows = append(rows, row{name: fmt.Sprintf("mux %.40q", request), request: request, handler: plain(mux)})
	}
	compare(t, rows)
}
