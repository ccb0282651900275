// Package crashfs is a file system in memory for the tests of what has to outlive
// crashes. It knows what is on disk, and what would be lost by a power loss now;
// it can fail, and be looked into.
package crashfs

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"zamqp/amqpproto/journal"
)

// FS is the file system. Its exported fields may be set while nobody uses it.
type FS struct {
	mu     sync.Mutex
	Files  map[string]*File // by path, as programs see them
	synced map[string]*File // names that are on disk
	locked map[string]bool

	Steps  int             // operations that change something
	FailAt int             // the step that fails, 0 = none
	Fail   error           // how
	Short  bool            // a write that fails writes half of it
	boots  int             // power losses so far
	During func(op string) // called before each step; may call Crash
}

// File is a file's octets, and those of its sectors that are on disk.
type File struct {
	Data   []byte
	disk   []byte
	length int // that is on disk
}

const sector = 512

// New returns an empty file system.
func New() *FS {
	return &FS{Files: map[string]*File{}, synced: map[string]*File{}, locked: map[string]bool{}}
}

// step counts an operation and says whether it fails.
func (m *FS) step(op string) error {
	if m.During != nil {
		m.mu.Unlock()
		m.During(op)
		m.mu.Lock()
	}
	m.Steps++
	if m.FailAt != 0 && m.Steps >= m.FailAt {
		return m.Fail
	}
	return nil
}

// Crash is what a power loss leaves: all that was synced, and of the rest
// whatever the disk had got around to.
func (m *FS) Crash(rng *rand.Rand) *FS {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := New()
	after.boots = m.boots + 1
	for name, f := range m.Files {
		if m.synced[name] != f && rng.IntN(2) == 0 {
			continue // the name is not on disk
		}
		size := f.length
		if rng.IntN(2) == 0 {
			size = len(f.Data)
		}
		data := make([]byte, size)
		copy(data, f.disk)
		for at := 0; at < size; at += sector {
			end := min(at+sector, size)
			if rng.IntN(2) == 0 && at < len(f.Data) {
				copy(data[at:end], f.Data[at:])
			}
		}
		after.Files[name] = &File{data, slices.Clone(data), size}
		after.synced[name] = after.Files[name]
	}
	for name, f := range m.synced { // removed, and the removal is not on disk
		if m.Files[name] == nil && rng.IntN(2) == 0 {
			after.Files[name] = &File{slices.Clone(f.disk[:f.length]), slices.Clone(f.disk[:f.length]), f.length}
			after.synced[name] = after.Files[name]
		}
	}
	return after
}

// Kill is what the end of a process leaves: everything.
func (m *FS) Kill() *FS {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := New()
	after.boots = m.boots
	for name, f := range m.Files {
		after.Files[name] = &File{slices.Clone(f.Data), slices.Clone(f.Data), len(f.Data)}
		after.synced[name] = after.Files[name]
	}
	return after
}

// Boot changes with each Crash.
func (m *FS) Boot() string { return strconv.Itoa(m.boots) }

// MakeDir implements journal.FS. Directories are there, and stay.
func (m *FS) MakeDir(string) error { return nil }

type unlock func()

func (u unlock) Close() error { u(); return nil }

// Lock implements journal.FS.
func (m *FS) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked[name] {
		return nil, journal.ErrLocked
	}
	m.locked[name] = true
	return unlock(func() { m.mu.Lock(); m.locked[name] = false; m.mu.Unlock() }), nil
}

// Names implements journal.FS.
func (m *FS) Names(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := []string{"lock"}
	for name := range m.Files {
		if filepath.Dir(name) == filepath.Clean(dir) {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Open implements journal.FS.
func (m *FS) Open(name string, flag int) (journal.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.Files[name]
	switch {
	case f == nil && flag&os.O_CREATE == 0:
		return nil, os.ErrNotExist
	case f != nil && flag&os.O_EXCL != 0:
		return nil, os.ErrExist
	case f == nil || flag&os.O_TRUNC != 0:
		if err := m.step("create"); err != nil {
			return nil, err
		}
		f = &File{}
		m.Files[name] = f
	}
	return handle{m, f}, nil
}

// Remove implements journal.FS.
func (m *FS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("remove"); err != nil {
		return err
	}
	delete(m.Files, name)
	return nil
}

// SyncDir implements journal.FS.
func (m *FS) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("syncdir"); err != nil {
		return err
	}
	here := func(name string) bool { return filepath.Dir(name) == filepath.Clean(dir) }
	for name := range m.synced {
		if here(name) && m.Files[name] == nil {
			delete(m.synced, name)
		}
	}
	for name, f := range m.Files {
		if here(name) {
			m.synced[name] = f
		}
	}
	return nil
}

type handle struct {
	m *FS
	f *File
}

func (h handle) ReadAt(b []byte, at int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if at >= int64(len(h.f.Data)) {
		return 0, io.EOF
	}
	n := copy(b, h.f.Data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h handle) WriteAt(b []byte, at int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	err := h.m.step("write")
	if err != nil {
		if !h.m.Short {
			return 0, err
		}
		b = b[:len(b)/2]
	}
	if end := int(at) + len(b); end > len(h.f.Data) {
		h.f.Data = append(h.f.Data, make([]byte, end-len(h.f.Data))...)
	}
	return copy(h.f.Data[at:], b), err
}

func (h handle) Close() error { return nil }

func (h handle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.f.Data)), nil
}

func (h handle) Truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.step("truncate"); err != nil {
		return err
	}
	h.f.Data = h.f.Data[:size]
	return nil
}

func (h handle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.step("sync"); err != nil {
		return err
	}
	h.f.disk = slices.Clone(h.f.Data)
	h.f.length = len(h.f.Data)
	return nil
}
