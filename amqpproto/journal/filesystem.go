package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// FS is the file system that a journal needs. Tests use one that fails, or that
// forgets what was not synced.
type FS interface {
	// MakeDir makes a directory and its parents if they do not exist.
	MakeDir(dir string) error
	// Lock creates a file and takes an exclusive lock on it, which ends with the
	// process. The error is ErrLocked if another process has it.
	Lock(name string) (io.Closer, error)
	// Names lists a directory, in order.
	Names(dir string) ([]string, error)
	// Open opens a file for reading and writing; flag may contain os.O_CREATE and
	// os.O_EXCL.
	Open(name string, flag int) (File, error)
	Remove(name string) error
	// Rename gives a file another name in the same directory.
	Rename(from, to string) error
	// SyncDir makes new and removed names durable.
	SyncDir(dir string) error
	// Boot names this run of the machine. As long as it is the same, data that was
	// written but not synced is still there. "" = not known.
	Boot() string
}

// File is one open file of an [FS].
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Allocate makes the file size octets long and reserves disk space for all of
	// them, so that a write there cannot find the disk full.
	Allocate(size int64) error
	// Sync makes data durable, with the metadata that is needed to read it.
	Sync() error
}

// OS is the file system of the operating system.
type OS struct{}

// MakeDir implements [FS].
func (OS) MakeDir(dir string) error { return os.MkdirAll(dir, 0o700) }

// Lock implements [FS].
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

// Names implements [FS].
func (OS) Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Open implements [FS].
func (OS) Open(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Remove implements [FS].
func (OS) Remove(name string) error { return os.Remove(name) }

// Rename implements [FS].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// SyncDir implements [FS].
func (OS) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Boot implements [FS].
func (OS) Boot() string { return bootID() }

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Allocate(size int64) error { return allocate(f.File, size) }

func (f osFile) Sync() error { return dataSync(f.File) }

// fill is Allocate for systems that cannot allocate.
func fill(f *os.File, size int64) error {
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}
