package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Segment is one file of a journal.
type Segment struct {
	First uint64 // number of its first record
	Size  int64  // octets of records and heads, without what is only reserved
}

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, segmentTail) }

// parseSegmentName is false for files that are no segments.
func parseSegmentName(name string) (first uint64, ok bool) {
	hex, ok := strings.CutSuffix(name, segmentTail)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	first, err := strconv.ParseUint(hex, 16, 64)
	return first, err == nil && first > 0 && segmentName(first) == name
}

const (
	identityName = "identity"
	lockName     = "lock"
)

// writeNew makes a file that holds only a head, and puts it and its name on disk.
// how is os.O_TRUNC or os.O_EXCL.
func writeNew(fs FS, dir, name string, how int, head []byte) (File, error) {
	f, err := fs.Open(filepath.Join(dir, name), os.O_CREATE|how)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(head, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
