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
	Size  int64  // octets of its records and heads, without space that is only reserved
}

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, segmentTail) }

// parseSegmentName returns false for files that are not segments.
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

// makeFile creates a file that holds only a head. how is os.O_TRUNC or os.O_EXCL.
func makeFile(fs FS, dir, name string, how int, head []byte) (File, error) {
	f, err := fs.Open(filepath.Join(dir, name), os.O_CREATE|how)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(head, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// keepFile makes a new file and its name durable.
func keepFile(fs FS, dir string, f File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}
