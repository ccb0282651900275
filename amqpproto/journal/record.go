package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// A segment begins with a head of 32 octets, and so does the file "identity",
// which is nothing else:
//
//	0        8        16       24      28     32
//	| magic  | salt   | first  | CRC   | zero |
//
// first is the number of the first record. The records follow, one after the other:
//
//	0      4        8        16
//	| CRC  | length | number | octets …
//
// All numbers are little-endian. The CRC is Castagnoli's, over everything that follows it. It
// begins with the salt, a number that is drawn when the directory is made. Without the salt,
// a message whose body looks like a record could be taken for one when recovery looks for
// whole records after a damaged place.
//
// The top bit of length marks the first record of a batch. Everything before such a record
// was on disk when the record was written.
//
// Records begin with number 1, so zeros are no record. Zeros follow the last record, since
// files are extended before they are written.
const (
	magic       = "zamqpjn1"
	headSize    = 32
	recordHead  = 16
	batchBit    = 1 << 31
	segmentTail = ".journal"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seed is the start value of the CRC of each record.
func seed(salt uint64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	return crc32.Checksum(b[:], castagnoli)
}

func appendHead(dst []byte, salt, first uint64) []byte {
	at := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint64(dst, salt)
	dst = binary.LittleEndian.AppendUint64(dst, first)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
	return append(dst, 0, 0, 0, 0)
}

// parseHead reads a head; ok is false if the head is not whole.
func parseHead(b []byte) (salt, first uint64, ok bool) {
	if len(b) < headSize || string(b[:8]) != magic {
		return 0, 0, false
	}
	if crc32.Checksum(b[:24], castagnoli) != binary.LittleEndian.Uint32(b[24:]) {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), true
}

// appendRecord appends a record of parts to dst. If the parts are shorter than
// length, because some are lent, the CRC is not final yet: see seal.
func appendRecord(dst []byte, seed uint32, seq uint64, beginsBatch bool, length int, parts [][]byte) []byte {
	at := len(dst)
	word := uint32(length)
	if beginsBatch {
		word |= batchBit
	}
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, word)
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	sealWhole(seed, dst[at:])
	return dst
}

// sealWhole sets the CRC of a record without lent parts.
func sealWhole(seed uint32, record []byte) {
	binary.LittleEndian.PutUint32(record, crc32.Update(seed, castagnoli, record[4:]))
}

// record is a whole record that was found.
type record struct {
	seq         uint64
	beginsBatch bool
	data        []byte // view
	size        int    // length with its head
}

// peekRecord reads a record's head without trusting it; ok says that the record
// would fit into b.
func peekRecord(b []byte) (r record, ok bool) {
	if len(b) < recordHead {
		return r, false
	}
	word := binary.LittleEndian.Uint32(b[4:])
	length := int64(word &^ batchBit)
	r.seq = binary.LittleEndian.Uint64(b[8:])
	if r.seq == 0 || length > int64(len(b)-recordHead) {
		return r, false
	}
	r.beginsBatch = word&batchBit != 0
	r.size = recordHead + int(length)
	r.data = b[recordHead:r.size:r.size]
	return r, true
}

// whole reports whether the CRC of the record at the beginning of b is right.
func (r record) whole(b []byte, seed uint32) bool {
	return crc32.Update(seed, castagnoli, b[4:r.size]) == binary.LittleEndian.Uint32(b)
}
