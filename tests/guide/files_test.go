package guide_test

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// invoices is the directory of the page's invoices.
var invoices = os.TempDir()

//go:embed testdata/site
var site embed.FS

func init() {
	assets, _ := fs.Sub(site, "testdata/site")
	publisher.Handle("GET /static/{path...}", publisher.Files(assets, publisher.Precompressed))
	publisher.Handle("GET /invoices/{number}", invoice)
}

func invoice(r *publisher.Request) error {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return publisher.Errorf(404, "no such invoice")
	}
	r.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="invoice-%d.pdf"`, number))
	return r.File(filepath.Join(invoices, fmt.Sprintf("%d.pdf", number))) // a missing file is a 404
}

func init() {
	files := publisher.Files(os.DirFS("testdata/site"))
	publisher.Handle("GET /assets/{path...}", func(r *publisher.Request) error {
		r.SetHeader("Cache-Control", "public, max-age=3600")
		return files(r)
	})
}

// TestFilesOfThePage: what the page says of its handlers.
func TestFilesOfThePage(t *testing.T) {
	invoices = t.TempDir()
	if err := os.WriteFile(filepath.Join(invoices, "7.pdf"), []byte("%PDF-"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := publishertest.New(t, publisher.Default)
	got := s.Request("GET", "/static/", "", "")
	if got.Status != 200 || got.Body != "<h1>Shop</h1>\n" || got.Header.Get("Etag") == "" {
		t.Errorf("%+v", got)
	}
	if again := s.Request("GET", "/static/", "", "", "If-None-Match: "+got.Header.Get("Etag")); again.Status != 304 {
		t.Errorf("%+v", again)
	}
	if got := s.Request("GET", "/static/app.js", "", "", "Accept-Encoding: gzip"); got.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(got.ContentType, "javascript") {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/assets/app.js", "", "", "Range: bytes=4-7"); got.Body != "shop" || got.Header.Get("Cache-Control") == "" {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/invoices/7", "", ""); got.ContentType != "application/pdf" || got.Header.Get("Content-Disposition") != `attachment; filename="invoice-7.pdf"` {
		t.Errorf("%+v", got)
	}
	for _, target := range []string{"/invoices/8", "/invoices/..%2f7", "/static/%2e%2e/files_test.go"} {
		if got := s.Request("GET", target, "", ""); got.Status != 404 {
			t.Errorf("%s: %+v", target, got)
		}
	}
}
