package inhand

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Slots of a file. A message that finds no free slot is handled without one.
const Slots = 1 << 16

// A file has a head and slots. A slot has two words: the fingerprint of a message, 0 if the
// slot is unused, and a note. A kill of the process never leaves half a word. Everything is
// in the byte order of the machine.
const (
	headSize = 4096
	slotSize = 16
	fileSize = headSize + Slots*slotSize
)

// magic begins each file. Its last digits are the version of the format. On a machine with
// the other byte order it reads as another number.
const magic = uint64(0x7a616d7168640001) // "zamqhd" and 1

// note is the second word of a slot: the number of ends in the low 16 bits, flags, and the
// time in seconds in the high 32.
type note uint64

const (
	noteStarted note = 1 << 16 // the handler runs
	noteAlone   note = 1 << 17 // and no other handler runs
	noteApart   note = 1 << 18 // the message was delivered by the quarantine
)

func newNote(e Evidence, flags note, now time.Time) note {
	n := note(min(max(e.Ends, 0), 1<<16-1)) | flags | note(uint32(now.Unix()))<<32
	if e.Alone {
		n |= noteAlone
	}
	return n
}

// evidence returns what a note says about the end of its process.
func (n note) evidence() Evidence {
	return Evidence{Ends: int(n & (1<<16 - 1)), Alone: n&noteAlone != 0}
}

// time at which the note was written, in seconds.
func (n note) time() int64 { return int64(uint32(n >> 32)) }

// word is a slot in memory: a fingerprint and a note.
type word = [2]uint64

// mapping is a file in memory.
type mapping struct {
	file  *os.File
	data  []byte
	slots []word // views of data
	whole bool   // the file had our head
}

// mapFile locks the file and maps it. errInUse says that another process has it.
func mapFile(path string) (*mapping, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	m := &mapping{file: f}
	if err := m.open(path); err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

var (
	errInUse   = errors.New("another process has it")
	errForeign = errors.New("it is no file of ours, or of another version")
)

func (m *mapping) open(path string) error {
	if err := unix.Flock(int(m.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errInUse
		}
		return err
	}
	was, err := m.file.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(was, now) {
		return errInUse // the file was removed before we had the lock
	}
	switch was.Size() {
	case 0: // new
		// Write the whole file now. If a page were first written when the disk is full,
		// the signal would end the process.
		if _, err := m.file.WriteAt(make([]byte, fileSize), 0); err != nil {
			_ = m.file.Truncate(0)
			return err
		}
	case fileSize:
	default:
		return errForeign
	}
	if m.data, err = unix.Mmap(int(m.file.Fd()), 0, fileSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	head := (*uint64)(unsafe.Pointer(&m.data[0]))
	switch atomic.LoadUint64(head) {
	case magic:
		m.whole = true
	case 0: // new, or its process was killed before the next line
		atomic.StoreUint64(head, magic)
	default:
		_ = unix.Munmap(m.data)
		return errForeign
	}
	m.slots = unsafe.Slice((*word)(unsafe.Pointer(&m.data[headSize])), Slots)
	return nil
}

// readSlots copies the slots of a file, which another process may be using.
func readSlots(path string) (m *mapping, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m = &mapping{data: make([]byte, fileSize)}
	switch _, err := io.ReadFull(f, m.data); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return m, nil // the file is just being made, or is not ours
	case err != nil:
		return nil, err
	}
	m.whole = *(*uint64)(unsafe.Pointer(&m.data[0])) == magic
	if m.whole {
		m.slots = unsafe.Slice((*word)(unsafe.Pointer(&m.data[headSize])), Slots)
	}
	return m, nil
}

func (m *mapping) close() {
	_ = unix.Munmap(m.data)
	m.slots, m.data = nil, nil
	m.file.Close() // this also releases the lock
}

// store writes a slot. It writes the note first, so that a fingerprint never has the note of
// another message. A page that cannot be written, for example because somebody cut the file,
// is an error and does not end the process.
func (m *mapping) store(slot uint32, id uint64, n note) (err error) {
	defer m.guard(debug.SetPanicOnFault(true), &err)
	w := &m.slots[slot]
	if id == 0 {
		atomic.StoreUint64(&w[0], 0)
		return nil
	}
	atomic.StoreUint64(&w[1], uint64(n))
	atomic.StoreUint64(&w[0], id)
	return nil
}

// guard is deferred by functions that touch the pages: it turns a fault into an error.
func (m *mapping) guard(was bool, err *error) {
	debug.SetPanicOnFault(was)
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: a slot is out of reach: %v", m.file.Name(), p)
	}
}

// load reads a slot. A slot that cannot be read counts as unused.
func (m *mapping) load(slot uint32) (id uint64, n note) {
	var err error
	defer m.guard(debug.SetPanicOnFault(true), &err)
	w := &m.slots[slot]
	return atomic.LoadUint64(&w[0]), note(atomic.LoadUint64(&w[1]))
}
