package journal

import (
	"bytes"
	"os"
	"syscall"
)

// dataSync leaves out the file's times, which would cost a second write.
func dataSync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync "+f.Name(), err)
		}
	}
}

// bootID is the kernel's name for the time since it was started.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(id))
}
