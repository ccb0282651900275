// Package crashfs is a file system in memory for crash tests. It knows what is on disk and
// what a power loss would destroy. It can be made to fail, and tests can look into it.
package crashfs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"zamqp/amqpproto/journal"
)

// FS is the file system. Set its exported fields only while nobody uses it.
type FS struct {
	mu     sync.Mutex
	Files  map[string]*File // by path, as programs see them
	synced map[string]*File // names that are on disk
	locked map[string]bool

	Steps  int             // number of operations that changed something
	FailAt int             // the step that fails, 0 = none
	Fail   error           // how it fails
	Short  bool            // a write that fails writes its first half
	Room   int             // the disk is full when all files together have more octets; 0 = no bound
	boots  int             // power losses so far
	During func(op string) // called before each step; may call Crash
}

// File has a file's octets, and the octets of each of its sectors that are on disk.
type File struct {
	Data   []byte
	disk   []byte
	length int    // that is on disk
	clean  []byte // what it held when a sync failed: the system believes that to be on disk
}

const sector = 512

// New returns an empty file system.
func New() *FS {
	return &FS{Files: map[string]*File{}, synced: map[string]*File{}, locked: map[string]bool{}}
}

// step counts an operation and reports whether it fails.
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

// Crash returns what a power loss leaves: everything that was synced, and a random
// part of the rest.
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
		after.Files[name] = &File{Data: data, disk: slices.Clone(data), length: size}
		after.synced[name] = after.Files[name]
	}
	for name, f := range m.synced { // removed, and the removal is not on disk
		if m.Files[name] == nil && rng.IntN(2) == 0 {
			after.Files[name] = &File{Data: slices.Clone(f.disk[:f.length]), disk: slices.Clone(f.disk[:f.length]), length: f.length}
			after.synced[name] = after.Files[name]
		}
	}
	return after
}

// Kill returns what the end of a process leaves: everything.
func (m *FS) Kill() *FS {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := New()
	after.boots = m.boots
	for name, f := range m.Files {
		after.Files[name] = &File{Data: slices.Clone(f.Data), disk: slices.Clone(f.Data), length: len(f.Data)}
		after.synced[name] = after.Files[name]
	}
	return after
}

// Boot changes with each Crash.
func (m *FS) Boot() string { return strconv.Itoa(m.boots) }

// MakeDir implements journal.FS. All directories exist.
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

// Rename implements journal.FS.
func (m *FS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("rename"); err != nil {
		return err
	}
	if m.Files[from] == nil {
		return syscall.ENOENT
	}
	m.Files[to] = m.Files[from]
	delete(m.Files, from)
	return nil
}

// grow makes a file longer, as far as there is space.
func (m *FS) grow(f *File, size int) error {
	if size <= len(f.Data) {
		return nil
	}
	used := 0
	for _, other := range m.Files {
		used += len(other.Data)
	}
	var err error
	if over := used + size - len(f.Data) - m.Room; m.Room > 0 && over > 0 {
		size, err = max(size-over, len(f.Data)), syscall.ENOSPC
	}
	f.Data = append(f.Data, make([]byte, size-len(f.Data))...)
	return err
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
	if gerr := h.m.grow(h.f, int(at)+len(b)); err == nil {
		err = gerr
	}
	if int(at) >= len(h.f.Data) {
		return 0, err
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
	h.f.Data = h.f.Data[:min(int(size), len(h.f.Data))]
	return nil
}

func (h handle) Allocate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.step("allocate"); err != nil {
		return err
	}
	return h.m.grow(h.f, int(size))
}

func (h handle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	f := h.f
	if err := h.m.step("sync"); err != nil {
		f.clean = slices.Clone(f.Data)
		return err
	}
	was := f.disk
	f.disk = slices.Clone(f.Data)
	f.length = len(f.Data)
	// A sync after one that failed writes only what was changed after that.
	for at := 0; at < min(len(f.clean), len(f.Data)); at += sector {
		end := min(at+sector, len(f.Data), len(f.clean))
		if bytes.Equal(f.clean[at:end], f.Data[at:end]) {
			clear(f.disk[at:end])
			if at < len(was) {
				copy(f.disk[at:end], was[at:])
			}
		}
	}
	return nil
}
