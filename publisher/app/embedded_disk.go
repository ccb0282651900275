package app

import (
	"time"

	"golang.org/x/sys/unix"
)

// diskEvery is how often the disk is looked at: it fills slower than memory.
const diskEvery = 2 * time.Second

// watchDisk holds publishers while less than broker.disk_free_min is free where
// the broker keeps what is durable: a full disk would end its journal for good.
func (e *embedded) watchDisk() {
	if e.settings.DataDir == "" || e.settings.DiskFreeMin == 0 {
		return
	}
	var free Size
	var err error
	e.loop.OffloadDisk(func() { free, err = diskFree(e.settings.DataDir) }, func() {
		enough := e.settings.DiskFreeMin
		if e.diskLow {
			enough += enough / 8 // else each segment that is removed and begun ends and begins it
		}
		low := err == nil && free < enough
		if low != e.diskLow {
			e.diskLow = low
			e.server.DiskLow(low)
			entry, what := e.log.Info(), "broker: disk has room again"
			if low {
				entry, what = e.log.Warn(), "broker: disk almost full, publishers wait"
			}
			entry.Int64("free", int64(free)).Str("data_dir", e.settings.DataDir).Msg(what)
		}
		e.loop.After(diskEvery, e.watchDisk)
	})
}

// diskFree is how many octets a process without privileges can still write.
func diskFree(dir string) (Size, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return Size(uint64(max(st.Bavail, 0)) * uint64(st.Bsize)), nil
}
