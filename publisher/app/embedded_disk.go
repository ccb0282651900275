package app

import (
	"time"

	"golang.org/x/sys/unix"

	"zamqp/amqpproto/journal"
	"zamqp/loop"
	"zamqp/publisher/config"
)

// diskEvery is how often the free space is measured, since others write to the disk, too;
// more often while it is low. The broker counts its own writes, and asks for a measurement
// when it needs one.
const (
	diskEvery    = 2 * time.Second
	diskEveryLow = 200 * time.Millisecond
)

// diskReserve is the size of the file that keeps room for acks on a full disk.
const diskReserve = journal.SegmentSizeDefault / 2

// diskWatch measures the free space of the broker's data directory.
type diskWatch struct {
	looking bool
	err     error // error of the last measurement
	timer   *loop.Timer
}

// watchDisk blocks publishers while less than broker.disk_free_min is free in the broker's
// data directory.
func (e *embedded) watchDisk() {
	w := &e.disk
	if e.settings.DataDir == "" || e.settings.DiskFreeMin == 0 || w.looking || e.closing {
		return
	}
	w.looking = true
	var free config.Size
	var err error
	mark := e.server.DiskMark()
	e.loop.OffloadDisk(func() { free, err = diskFree(e.settings.DataDir) }, func() {
		w.looking = false
		if err != nil && w.err == nil {
			e.log.Warn().Err(err).Str("data_dir", e.settings.DataDir).Msg("broker: the free space of the disk is unknown: broker.disk_free_min has no effect")
		}
		w.err = err
		every := diskEvery
		if least := e.settings.DiskFreeMin; err == nil {
			// Without a margin, each segment that is removed or begun would change between
			// blocked and not blocked.
			if e.server.DiskRoom(mark, int64(free)-int64(least), int64(least/8)) {
				every = diskEveryLow
			}
		}
		if w.timer == nil {
			w.timer = e.loop.After(every, e.watchDisk)
		} else {
			w.timer.Reset(every)
		}
	})
}

// diskFree returns how many octets a process without privileges can write.
func diskFree(dir string) (config.Size, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return config.Size(uint64(max(st.Bavail, 0)) * uint64(st.Bsize)), nil
}
