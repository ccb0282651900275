package guide_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// folder is where the page stores its files.
var folder string

func init() {
	publisher.Produce("files", publisher.Producer{Queue: "files"})
	publisher.Handle("PUT /files/{name}", store, publisher.Streaming, publisher.BodyMax(2<<30))
	publisher.Handle("POST /parts", publisher.HTTP(http.HandlerFunc(parts)))
}

func store(r *publisher.Request) error {
	file, err := os.CreateTemp(folder, "upload-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())   // does nothing once it has its name
	err = r.Offload(func() error { // files block: not on the loop's thread
		defer file.Close()
		_, err := io.Copy(file, r.BodyReader())
		return err
	})
	if err != nil {
		return err // 400, 408, 413: the rest of the body does not come
	}
	if err := os.Rename(file.Name(), filepath.Join(folder, filepath.Base(r.PathValue("name")))); err != nil {
		return err
	}
	r.Publish("files", r.PathValue("name")) // leaves when all is stored
	return r.Text(201, r.Trailer("X-Checksum"))
}

func parts(w http.ResponseWriter, req *http.Request) {
	reader, err := req.MultipartReader()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		n, err := io.Copy(io.Discard, part)
		fmt.Fprintln(w, part.FileName(), n, err)
	}
}

// TestUploads: what the page says of its handlers.
func TestUploads(t *testing.T) {
	folder = t.TempDir()
	s := publishertest.New(t, publisher.Default)
	got := s.RequestFrom("PUT", "/files/a.txt", "text/plain", io.LimitReader(rand.Reader, 1<<20))
	if info, err := os.Stat(filepath.Join(folder, "a.txt")); err != nil || info.Size() != 1<<20 || got.Status != 201 || len(s.Published()) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	lost := io.MultiReader(io.LimitReader(rand.Reader, 1000), iotest.ErrReader(errors.New("gone")))
	got = s.RequestFrom("PUT", "/files/b.txt", "text/plain", lost)
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 || !errors.Is(got.Err, io.ErrUnexpectedEOF) || len(s.Published()) != 0 {
		t.Errorf("%+v, %v, %v", got, left, err)
	}
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part, _ := m.CreateFormFile("file", "c.txt")
	_, _ = io.CopyN(part, rand.Reader, 1<<20)
	_ = m.Close()
	if got := s.RequestFrom("POST", "/parts", m.FormDataContentType(), &body); got.Body != fmt.Sprintln("c.txt", 1<<20, nil) {
		t.Errorf("%+v", got)
	}
}
