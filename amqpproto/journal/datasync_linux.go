package journal

import (
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
