package publisher

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A fileSpan is a part of a file that is sent, and what is sent before it.
type fileSpan struct {
	before   string // the head of its part, in a body of several parts
	from, to int64  // octets of the file; to is exclusive
}

// fileRangesMax is how many ranges a request may ask for. Each costs a read of the file
// and the head of a part. A request for more gets the whole file, as RFC 9110 §14.2 allows.
const fileRangesMax = 32

var (
	errRange        = errors.New("invalid range")
	errRangeOutside = errors.New("invalid range: failed to overlap")
)

// parseRanges returns the parts of a file of this size that a Range field asks for. It returns
// nil if the whole file is to be sent: the field is missing, or asks for too many parts, or for
// more octets than the file has. RFC 9110 §14.1.
func parseRanges(field string, size int64) (spans []fileSpan, err error) {
	if field == "" {
		return nil, nil
	}
	list, ok := strings.CutPrefix(field, "bytes=")
	if !ok {
		return nil, errRange
	}
	outside := false
	sum := int64(0)
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.Trim(item, " \t"); item == "" {
			continue
		}
		s, ok, err := parseSpan(item, size)
		if err != nil {
			return nil, err
		}
		if !ok {
			outside = true
			continue
		}
		spans = append(spans, s)
		sum += s.to - s.from
	}
	switch {
	case outside && len(spans) == 0 && size > 0:
		return nil, errRangeOutside
	case size == 0, sum > size, len(spans) > fileRangesMax:
		return nil, nil
	}
	return spans, nil
}

// parseSpan parses one range. ok is false if the range lies outside of the file.
func parseSpan(item string, size int64) (s fileSpan, ok bool, err error) {
	first, last, ok := strings.Cut(item, "-")
	if !ok {
		return s, false, errRange
	}
	first, last = strings.Trim(first, " \t"), strings.Trim(last, " \t")
	if first == "" { // the last octets
		n, err := position(last)
		if err != nil {
			return s, false, err
		}
		return fileSpan{from: size - min(n, size), to: size}, n > 0, nil
	}
	if s.from, err = position(first); err != nil {
		return s, false, err
	}
	if s.from >= size {
		return s, false, nil
	}
	if s.to = size; last != "" {
		n, err := position(last)
		if err != nil || n < s.from {
			return s, false, errRange
		}
		s.to = min(n, size-1) + 1
	}
	return s, true, nil
}

func position(digits string) (int64, error) {
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return 0, errRange
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, errRange
	}
	return n, nil
}

// contentRange is the value of the field of that name. RFC 9110 §14.4.
func (s *fileSpan) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.from, s.to-1, size)
}

// multipart gives each span the head of its part, and returns the boundary and the end of the body.
// RFC 9110 §14.6.
func multipart(spans []fileSpan, contentType string, size int64) (boundary, end string) {
	var random [30]byte
	_, _ = rand.Read(random[:]) // never fails
	boundary = hex.EncodeToString(random[:])
	line := "--"
	for i := range spans {
		s := &spans[i]
		s.before = line + boundary + "\r\nContent-Range: " + s.contentRange(size) + "\r\nContent-Type: " + contentType + "\r\n\r\n"
		line = "\r\n--"
	}
	return boundary, line + boundary + "--\r\n"
}
