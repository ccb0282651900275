package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// SlotFile is a small table beside a journal. It is for facts that change too often to
// be records and need not outlive a power loss, such as which queue has delivered which
// message. Slots are overwritten in place and not synced, so after a kill the file says
// what was there at the last Write.
//
// It belongs to one thread. Write runs there as well: it takes one system call for each
// page that has changed, a few microseconds.
type SlotFile struct {
	file  File
	boot  string
	slots []byte   // all slots, as in the file
	free  []uint32 // unused slots
	freed []freed  // slots that may not be used yet, in order
	past  int      // how many of freed are free by now
	dirty []uint32 // pages to be written
	stale []bool   // by page: it is among the dirty ones
	err   error    // error of a failed write: the file does not count as whole until all is written
	again bool     // the next Write tries again
	doubt bool     // the slots in the file are not whole
}

// freed is a slot that can be used again when a certain record is on disk.
type freed struct {
	at   uint64
	slot uint32
}

// A slot has an id, which is not 0, and a value. The file begins with a page that says
// whether the slots are whole: it names the run of the machine in which they were written, or
// says that they have been synced.
const (
	slotFileName = "board" // on disk since the first version
	slotFilePage = 4096
	slotSize     = 16
	pageSlots    = slotFilePage / slotSize
	slotFileHead = 8 + 4 + 4 // magic, CRC, length of the text that follows
	slotFileOK   = "synced"
)

const slotFileMagic = "zamqpbd1"

// OpenSlotFile opens the slot file in the directory of an open journal, and calls use for
// each slot in use. If use returns false, the slot is freed. whole says that the slots are
// those of the last Write. If it is false, as after a power loss, some may be old or missing.
// The caller can correct them before its first Write; from then on they count as whole again.
//
// On a file system that cannot tell one run of the machine from another, whole is always
// false.
func (j *Journal) OpenSlotFile(use func(slot uint32, id, value uint64) bool) (b *SlotFile, whole bool, err error) {
	b = &SlotFile{boot: j.fs.Boot()}
	f, err := j.fs.Open(filepath.Join(j.dir, slotFileName), os.O_CREATE)
	if err != nil {
		return nil, false, fmt.Errorf("journal: slot file: %w", err)
	}
	b.file = f
	size, err := f.Size()
	if err != nil {
		f.Close()
		return nil, false, fmt.Errorf("journal: slot file: %w", err)
	}
	head, slots := loadSlotFile(f, size)
	text, ok := parseSlotFileHead(head)
	whole = ok && (text == slotFileOK || text == b.boot && text != "")
	b.grow(len(slots))
	for i := range uint32(len(slots) / slotSize) {
		at := i * slotSize
		id, value := binary.LittleEndian.Uint64(slots[at:]), binary.LittleEndian.Uint64(slots[at+8:])
		switch {
		case id == 0:
			b.free = append(b.free, i)
		case use(i, id, value):
			copy(b.slots[at:], slots[at:at+slotSize])
		default:
			b.free = append(b.free, i)
			b.touch(i) // the id may belong to something else by now
		}
	}
	// Write the head before anything changes, because after a power loss the slots are old.
	switch {
	case !whole:
		// A new file has no slots yet, and does not count as whole after a power loss, so it
		// needs no sync.
		if b.doubt = true; size > 0 {
			err = b.writeHead("", true)
		}
	case text != b.boot:
		err = b.writeHead(b.boot, true)
	}
	if err != nil {
		f.Close()
		return nil, false, fmt.Errorf("journal: slot file: %w", err)
	}
	return b, whole, nil
}

// loadSlotFile reads the file. Parts that cannot be read count as missing.
func loadSlotFile(f File, size int64) (head, slots []byte) {
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); err != nil {
		b = b[:n]
	}
	if len(b) < slotFilePage {
		return nil, nil
	}
	return b[:slotFilePage], b[slotFilePage : len(b)-len(b)%slotFilePage]
}

func parseSlotFileHead(b []byte) (text string, ok bool) {
	if len(b) < slotFileHead || string(b[:8]) != slotFileMagic {
		return "", false
	}
	n := binary.LittleEndian.Uint32(b[12:])
	if n > uint32(len(b)-slotFileHead) || crc32.Checksum(b[12:slotFileHead+n], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return "", false
	}
	return string(b[slotFileHead : slotFileHead+n]), true
}

func (b *SlotFile) writeHead(text string, sync bool) error {
	head := make([]byte, slotFilePage)
	copy(head, slotFileMagic)
	binary.LittleEndian.PutUint32(head[12:], uint32(len(text)))
	copy(head[slotFileHead:], text)
	binary.LittleEndian.PutUint32(head[8:], crc32.Checksum(head[12:slotFileHead+len(text)], castagnoli))
	if _, err := b.file.WriteAt(head, 0); err != nil {
		return err
	}
	if sync {
		return b.file.Sync()
	}
	return nil
}

// grow makes room for slots of so many octets, all unused.
func (b *SlotFile) grow(size int) {
	b.slots = append(b.slots, make([]byte, size-len(b.slots))...)
	b.stale = append(b.stale, make([]bool, size/slotFilePage-len(b.stale))...)
}

// Take returns a free slot. It allocates only when the slot file grows.
func (b *SlotFile) Take(id, value uint64) (slot uint32) {
	if len(b.free) == 0 {
		first := uint32(len(b.slots) / slotSize)
		b.grow(len(b.slots) + slotFilePage)
		for i := range uint32(pageSlots) {
			b.free = append(b.free, first+pageSlots-1-i)
		}
	}
	slot = b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	binary.LittleEndian.PutUint64(b.slots[slot*slotSize:], id)
	b.Set(slot, value)
	return slot
}

// Set changes the value of a slot that was taken.
func (b *SlotFile) Set(slot uint32, value uint64) {
	binary.LittleEndian.PutUint64(b.slots[slot*slotSize+8:], value)
	b.touch(slot)
}

func (b *SlotFile) touch(slot uint32) {
	if page := slot / pageSlots; !b.stale[page] {
		b.stale[page] = true
		b.dirty = append(b.dirty, page)
	}
}

// Free frees a slot. The slot is used again only when record number at is on disk: that
// record says that the slot's message is gone. Reuse says which records are on disk. at never
// decreases.
func (b *SlotFile) Free(slot uint32, at uint64) {
	b.freed = append(b.freed, freed{at, slot})
}

// Reuse says that the journal is on disk up to a record.
func (b *SlotFile) Reuse(synced uint64) {
	for b.past < len(b.freed) && b.freed[b.past].at <= synced {
		b.free = append(b.free, b.freed[b.past].slot)
		b.past++
	}
	if b.past > len(b.freed)/2 {
		b.freed = b.freed[:copy(b.freed, b.freed[b.past:])]
		b.past = 0
	}
}

// Dirty reports whether Write has anything to do.
func (b *SlotFile) Dirty() bool { return len(b.dirty) > 0 }

// Write writes all changes, so that they outlive a kill. It returns an error only once. After
// that the file does not count as whole until Again is called and a Write succeeds.
func (b *SlotFile) Write() error {
	if b.err != nil && !b.again {
		return nil
	}
	b.again = false
	for n := len(b.dirty) - 1; n >= 0; n-- {
		page := b.dirty[n]
		at := int64(page) * slotFilePage
		if _, err := b.file.WriteAt(b.slots[at:at+slotFilePage], slotFilePage+at); err != nil {
			return b.fail(err)
		}
		b.stale[page] = false
		b.dirty = b.dirty[:n]
	}
	if b.doubt {
		if err := b.writeHead(b.boot, false); err != nil {
			return b.fail(err)
		}
	}
	b.doubt, b.err = false, nil
	return nil
}

func (b *SlotFile) fail(err error) error {
	told := b.err != nil
	b.err, b.doubt = err, true
	_ = b.writeHead("", false) // this works on a full disk: it needs no space
	if told {
		return nil
	}
	return fmt.Errorf("journal: slot file: %w", err)
}

// Again makes the next Write try again what has failed, because the disk takes something
// again.
func (b *SlotFile) Again() { b.again = true }

// Close writes the slot file and syncs it, so that it is whole after a restart of
// the machine, too.
func (b *SlotFile) Close() error {
	b.again = true
	err := b.Write()
	switch {
	case b.err != nil:
		_ = b.writeHead("", false) // again
	default:
		if err = b.file.Sync(); err == nil {
			err = b.writeHead(slotFileOK, true)
		}
	}
	if cerr := b.file.Close(); err == nil {
		err = cerr
	}
	return err
}
