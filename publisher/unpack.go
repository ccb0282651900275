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

// UnpackMax is the largest unpacked body, in octets, if [Options] set no limit.
const UnpackMax = 64 << 20

// compressionHeader is the header in which kombu names a compression.
const compressionHeader = "compression"

// A packing is a compression that can be undone.
type packing struct {
	name      string // for errors
	unpack    func(b []byte, limit int64) ([]byte, error)
	looksBack bool // the limit also applies to the window: see narrow
}

// packings maps the names of content encodings to their packings.
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

// kombuPackings maps the names that kombu writes into the header compression, and
// their short names. kombu's gzip is in zlib's format.
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

// errUnpackMax is the error of a body that unpacks to more octets than the limit.
var errUnpackMax = errors.New("too large")

// errNoUnpacker is the error of a compression that zamqp cannot read.
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

// readAll reads to the end, but fails above limit octets: a small body can unpack to a
// thousand times its size. It allocates for what has arrived, not for an announced size.
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

// hitBound reports whether a body that failed with err could be unpacked with a higher limit:
// the body, or its window, is larger than the limit.
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

// finished returns an error if octets follow the compressed data.
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

// inflate reads HTTP's deflate, which is zlib's format (RFC 9110 §8.4.1.2). Some
// clients send it without zlib's header and checksum; inflate reads that, too.
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

// gunzipOrInflate looks at the first octets of the body to tell gzip from deflate.
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

// zstdDecoders maps the binary logarithm of a limit to its decoder. A process uses one or
// two. Making a decoder's tables takes longer than unpacking a message.
var zstdDecoders sync.Map

// unzstd allocates the size that a frame announces, but at most 32 KiB per octet
// received, because one octet can stand for that much.
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

// narrow lowers the window that a frame announces to 1<<log octets. The window is how
// far the frame may look back. A sender that streams announces it before it knows the
// length: 128 MiB at the highest level. A frame that unpacks to fewer octets than the
// bound cannot look farther back than the bound. RFC 8878 §3.1.1.
func narrow(b []byte, log int) []byte {
	if isFar(b, log) {
		b = bytes.Clone(b)
		b[5] = byte(log-10) << 3
	}
	return b
}

// isFar reports whether a frame announces a window of more than 1<<log octets.
func isFar(b []byte, log int) bool {
	const singleSegment = 0x20
	return len(b) >= 6 && bytes.HasPrefix(b, []byte("\x28\xb5\x2f\xfd")) && b[4]&singleSegment == 0 && b[5] > byte(log-10)<<3
}
