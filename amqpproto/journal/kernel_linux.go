package journal

import (
	"bytes"
	"os"
	"syscall"
)

// dataSync does not sync the file's times, which would need a second write.
func dataSync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync "+f.Name(), err)
		}
	}
}

// allocate reserves the blocks without writing them, if the file system can do that.
func allocate(f *os.File, size int64) error {
	for {
		switch err := syscall.Fallocate(int(f.Fd()), 0, 0, size); err {
		case nil:
			return nil
		case syscall.EINTR:
		case syscall.EOPNOTSUPP, syscall.ENOSYS:
			return fill(f, size)
		default:
			return os.NewSyscallError("fallocate "+f.Name(), err)
		}
	}
}

// bootID returns the kernel's name for this boot.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(id))
}
