package journal_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"zamqp/amqpproto/journal"
)

// memory is a file system that knows what is on disk, and what would be lost by
// a power loss now. It can fail.
type memory struct {
	mu     sync.Mutex
	files  map[string]*content // by path, as programs see them
	synced map[string]*content // names that are on disk
	locked map[string]bool

	steps  int             // operations that change something
	failAt int             // the step that fails, 0 = none
	fail   error           // how
	short  bool            // a write that fails writes half of it
	boots  int             // power losses so far
	during func(op string) // called in each step
}

// content is a file's octets, and those of its sectors that are on disk.
type content struct {
	data   []byte
	disk   []byte
	length int // that is on disk
}

const sector = 512

func newMemory() *memory {
	return &memory{files: map[string]*content{}, synced: map[string]*content{}, locked: map[string]bool{}}
}

var errDisk = errors.New("input/output error")

// step counts an operation and says whether it fails.
func (m *memory) step(op string) error {
	if m.during != nil {
		m.during(op)
	}
	m.steps++
	if m.failAt != 0 && m.steps >= m.failAt {
		return m.fail
	}
	return nil
}

// crash is what a power loss leaves: all that was synced, and of the rest
// whatever the disk had got around to.
func (m *memory) crash(rng *rand.Rand) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := newMemory()
	after.boots = m.boots + 1
	for name, f := range m.files {
		if m.synced[name] != f && rng.IntN(2) == 0 {
			continue // the name is not on disk
		}
		size := f.length
		if rng.IntN(2) == 0 {
			size = len(f.data)
		}
		data := make([]byte, size)
		copy(data, f.disk)
		for at := 0; at < size; at += sector {
			end := min(at+sector, size)
			if rng.IntN(2) == 0 && at < len(f.data) {
				copy(data[at:end], f.data[at:])
			}
		}
		after.files[name] = &content{data, slices.Clone(data), size}
		after.synced[name] = after.files[name]
	}
	for name, f := range m.synced { // removed, and the removal is not on disk
		if m.files[name] == nil && rng.IntN(2) == 0 {
			after.files[name] = &content{slices.Clone(f.disk[:f.length]), slices.Clone(f.disk[:f.length]), f.length}
			after.synced[name] = after.files[name]
		}
	}
	return after
}

// kill is what the end of a process leaves: everything.
func (m *memory) kill() *memory {
	after := newMemory()
	after.boots = m.boots
	for name, f := range m.files {
		after.files[name] = &content{slices.Clone(f.data), slices.Clone(f.data), len(f.data)}
		after.synced[name] = after.files[name]
	}
	return after
}

func (m *memory) Boot() string { return strconv.Itoa(m.boots) }

func (m *memory) MakeDir(string) error { return nil }

type unlock func()

func (u unlock) Close() error { u(); return nil }

func (m *memory) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked[name] {
		return nil, journal.ErrLocked
	}
	m.locked[name] = true
	return unlock(func() { m.mu.Lock(); m.locked[name] = false; m.mu.Unlock() }), nil
}

func (m *memory) Names(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := []string{"lock"}
	for name := range m.files {
		names = append(names, filepath.Base(name))
	}
	slices.Sort(names)
	return names, nil
}

func (m *memory) Open(name string, flag int) (journal.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	switch {
	case f == nil && flag&os.O_CREATE == 0:
		return nil, os.ErrNotExist
	case f != nil && flag&os.O_EXCL != 0:
		return nil, os.ErrExist
	case f == nil || flag&os.O_TRUNC != 0:
		if err := m.step("create"); err != nil {
			return nil, err
		}
		f = &content{}
		m.files[name] = f
	}
	return handle{m, f}, nil
}

func (m *memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("remove"); err != nil {
		return err
	}
	delete(m.files, name)
	return nil
}

func (m *memory) SyncDir(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("syncdir"); err != nil {
		return err
	}
	m.synced = map[string]*content{}
	for name, f := range m.files {
		m.synced[name] = f
	}
	return nil
}

type handle struct {
	m *memory
	f *content
}

func (h handle) ReadAt(b []byte, at int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if at >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(b, h.f.data[at:])
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
		if !h.m.short {
			return 0, err
		}
		b = b[:len(b)/2]
	}
	if end := int(at) + len(b); end > len(h.f.data) {
		h.f.data = append(h.f.data, make([]byte, end-len(h.f.data))...)
	}
	return copy(h.f.data[at:], b), err
}

func (h handle) Close() error { return nil }

func (h handle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.f.data)), nil
}

func (h handle) Truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.step("truncate"); err != nil {
		return err
	}
	h.f.data = h.f.data[:size]
	return nil
}

func (h handle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.step("sync"); err != nil {
		return err
	}
	h.f.disk = slices.Clone(h.f.data)
	h.f.length = len(h.f.data)
	return nil
}
