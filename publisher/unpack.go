package publisher

import (
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"zamqp/amqpproto"
)

// UnpackMax bounds an unpacked body where [Options] do not.
const UnpackMax = 64 << 20

// compressionHeader is the header in which kombu names a compression.
const compressionHeader = "compression"

// A packing is a compression that can be undone.
type packing struct {
	name      string // for errors
	unpack    func(b []byte, limit int64) ([]byte, error)
	looksBack bool // the bound also says how far it may look back: see narrow
}

// packings by the names that a content encoding has for them.
var packings = map[string]packing{
	"gzip":      {name: "gzip", unpack: ungzip},
	"x-gzip":    {name: "gzip", unpack: ungzip},
	"deflate":   {name: "deflate", unpack: inflate},
	"x-deflate": {name: "deflate", unpack: inflate},
	"zlib":      {name: "zlib", unpack: unzlib},
	"br":        {name: "br", unpack: unbrotli},
	"zstd":      {name: "zstd", unpack: unzstd, looksBack: true},
	"bzip2":     {name: "bzip2", unpack: unbzip2},
	"x-bzip2":   {name: "bzip2", unpack: unbzip2},
	"xz":        {name: "xz", unpack: unxz},
	"lzma":      {name: "lzma", unpack: unxz},
}

// kombuPackings by the names that kombu writes into its header compression, and
// their short names. What it calls gzip is zlib's format.
var kombuPackings = map[string]packing{
	"application/x-gzip":   {name: "application/x-gzip", unpack: gunzipOrInflate},
	"application/gzip":     {name: "application/gzip", unpack: gunzipOrInflate},
	"application/zlib":     {name: "application/zlib", unpack: gunzipOrInflate},
	"application/x-zlib":   {name: "application/x-zlib", unpack: gunzipOrInflate},
	"gzip":                 {name: "gzip", unpack: gunzipOrInflate},
	"zlib":                 {name: "zlib", unpack: gunzipOrInflate},
	"deflate":              {name: "deflate", unpack: gunzipOrInflate},
	"application/x-bz2":    {name: "application/x-bz2", unpack: unbzip2},
	"application/x-bzip2":  {name: "application/x-bzip2", unpack: unbzip2},
	"bzip2":                {name: "bzip2", unpack: unbzip2},
	"bzip":                 {name: "bzip", unpack: unbzip2},
	"application/x-brotli": {name: "application/x-brotli", unpack: unbrotli},
	"brotli":               {name: "brotli", unpack: unbrotli},
	"br":                   {name: "br", unpack: unbrotli},
	"application/zstd":     {name: "application/zstd", unpack: unzstd, looksBack: true},
	"zstd":                 {name: "zstd", unpack: unzstd, looksBack: true},
	"zstandard":            {name: "zstandard", unpack: unzstd, looksBack: true},
	"application/x-lzma":   {name: "application/x-lzma", unpack: unxz},
	"application/x-xz":     {name: "application/x-xz", unpack: unxz},
	"lzma":                 {name: "lzma", unpack: unxz},
	"xz":                   {name: "xz", unpack: unxz},
	"identity":             {},
	"none":                 {},
}

// errUnpackMax says that a body unpacks to more than it may.
var errUnpackMax = errors.New("too large")

// errNoUnpacker says that nothing here reads a compression.
var errNoUnpacker = errors.New("no unpacker")

// fail is the error of a call whose body does not unpack.
func (p *packing) fail(err error, limit int64) error {
	switch {
	case errors.Is(err, errUnpackMax):
		return tooLarge(limit)
	case errors.Is(err, errNoUnpacker):
		return encodingErrorf("the compression %s is not read here: send gzip, deflate, zstd or br", p.name)
	}
	return &DecodeError{ContentType: p.name, Cause: err}
}

func tooLarge(limit int64) error {
	return &StatusError{Status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("the body unpacks to more than %d octets (server.unpack_max)", limit)}
}

// readAll reads to the end, to limit octets at most: a small body can hold a
// thousand times its size. Memory is taken by what comes, not by what is promised.
func readAll(z io.Reader, packed int, limit int64) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, min(int64(4*packed), limit, amqpproto.LargeBody)+bytes.MinRead))
	n, err := io.Copy(out, io.LimitReader(z, min(limit, amqpproto.LargeBody)+1))
	switch {
	case n > limit:
		return nil, errUnpackMax
	case err != nil:
		return nil, err
	case n <= amqpproto.LargeBody:
		return out.Bytes(), nil
	}
	large := newCollecting(out.Bytes())
	more, err := io.Copy(large, io.LimitReader(z, limit-n+1))
	switch {
	case n+more > limit:
		return nil, errUnpackMax
	case err != nil:
		return nil, err
	}
	return large.take(), nil
}

// hitBound reports whether a body may unpack with a higher bound than that of which
// err was the outcome: it is larger, or looks back farther than the bound.
func (e *contentEncoding) hitBound(body []byte, err error) bool {
	if s := (*StatusError)(nil); errors.As(err, &s) {
		return s.Status == http.StatusRequestEntityTooLarge
	}
	for i, p := range e.packings {
		if p.looksBack && (i > 0 || isFar(body, bits.Len(amqpproto.LargeBody-1))) {
			return true
		}
	}
	return false
}

// finished is an error when something follows what was read.
func finished(out []byte, err error, rest *bytes.Reader) ([]byte, error) {
	if err == nil && rest.Len() > 0 {
		return nil, fmt.Errorf("%d octets follow the end", rest.Len())
	}
	return out, err
}

func ungzip(b []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return readAll(z, len(b), limit)
}

func unzlib(b []byte, limit int64) ([]byte, error) {
	in := bytes.NewReader(b)
	z, err := zlib.NewReader(in)
	if err != nil {
		return nil, err
	}
	out, err := readAll(z, len(b), limit)
	return finished(out, err, in)
}

// inflate reads HTTP's deflate, which is the format of zlib (RFC 9110 §8.4.1.2);
// some clients send it without zlib's head and sum.
func inflate(b []byte, limit int64) ([]byte, error) {
	out, err := unzlib(b, limit)
	if err == nil || errors.Is(err, errUnpackMax) {
		return out, err
	}
	in := bytes.NewReader(b)
	raw, rawErr := readAll(flate.NewReader(in), len(b), limit)
	if raw, rawErr = finished(raw, rawErr, in); rawErr == nil || errors.Is(rawErr, errUnpackMax) {
		return raw, rawErr
	}
	return nil, err
}

// gunzipOrInflate goes by what the body is.
func gunzipOrInflate(b []byte, limit int64) ([]byte, error) {
	if len(b) > 1 && b[0] == 0x1f && b[1] == 0x8b {
		return ungzip(b, limit)
	}
	return inflate(b, limit)
}

func unbzip2(b []byte, limit int64) ([]byte, error) {
	return readAll(bzip2.NewReader(bytes.NewReader(b)), len(b), limit)
}

func unbrotli(b []byte, limit int64) ([]byte, error) {
	in := bytes.NewReader(b)
	out, err := readAll(brotli.NewReader(in), len(b), limit)
	return finished(out, err, in)
}

func unxz([]byte, int64) ([]byte, error) { return nil, errNoUnpacker }

// zstdDecoders by the logarithm of what they unpack, of which a process has one or
// two. One holds tables that take longer to make than a message to unpack.
var zstdDecoders sync.Map

// unzstd takes memory for the size that a frame promises, but for an octet that
// came not more than 32 KiB, which one can stand for.
func unzstd(b []byte, limit int64) ([]byte, error) {
	if len(b) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	log := max(10, bits.Len64(uint64(limit-1)))
	known, ok := zstdDecoders.Load(log)
	if !ok {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(4), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(1<<log))
		if err != nil {
			return nil, err
		}
		known, _ = zstdDecoders.LoadOrStore(log, d)
	}
	out, err := known.(*zstd.Decoder).DecodeAll(narrow(b, log), nil)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded), int64(len(out)) > limit:
		return nil, errUnpackMax
	case err != nil:
		return nil, err
	}
	return out, nil
}

// narrow lowers how far a frame says that it looks back, its window, to 1<<log
// octets. A stream says so before it knows its length, 128 MiB at the highest
// level; one that has fewer octets than the bound cannot look farther back.
// RFC 8878 §3.1.1.
func narrow(b []byte, log int) []byte {
	if isFar(b, log) {
		b = bytes.Clone(b)
		b[5] = byte(log-10) << 3
	}
	return b
}

// isFar reports whether a frame says that it looks back more than 1<<log octets.
func isFar(b []byte, log int) bool {
	const singleSegment = 0x20
	return len(b) >= 6 && bytes.HasPrefix(b, []byte("\x28\xb5\x2f\xfd")) && b[4]&singleSegment == 0 && b[5] > byte(log-10)<<3
}
