package journal

import (
	"fmt"
	"strings"
)

// Report says what was found when a journal was opened.
type Report struct {
	Segments int    // number of files
	Records  int    // number of whole records; all of them were replayed
	Bytes    int64  // octets of records, with their heads
	First    uint64 // number of the first record; 0 if there is none
	Last     uint64 // number of the last record

	// Torn is how many octets were cut off the end: a batch that was not completely
	// written when the process or the machine died. The journal had not confirmed
	// it to anybody.
	Torn int64

	// Damage lists what was stored and cannot be read any more, oldest first.
	Damage []Damage
}

// Damage is one place in a segment whose octets are not those that were written, or a gap
// between segments.
type Damage struct {
	Segment string // file name
	Offset  int64  // offset where it begins
	Length  int64  // length in octets, up to the next whole record or the end of the file
	First   uint64 // number of the first lost record; 0 if only the segment's head is lost
	Lost    uint64 // how many records are lost; 0 if not known, at the end of the journal
	Reason  string
}

func (d Damage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s at octet %d, %d octets skipped", d.Segment, d.Reason, d.Offset, d.Length)
	switch {
	case d.First == 0:
	case d.Lost == 0:
		fmt.Fprintf(&b, ", records from %d on lost", d.First)
	case d.Lost == 1:
		fmt.Fprintf(&b, ", record %d lost", d.First)
	default:
		fmt.Fprintf(&b, ", records %d to %d lost", d.First, d.First+d.Lost-1)
	}
	return b.String()
}
