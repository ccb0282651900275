package amqpdoor_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/doortest"
	"zamqp/tests/kit/wiretest"
)

// TestAnythingWithSpool does everything that can happen, in any order: freezes, cuts, kills,
// refused dials, slow, full and failing disks, bursts of small and large publishes. Every
// answered publish arrives, in the order of the calls, and with a second copy only after the
// end of a connection.
func TestAnythingWithSpool(t *testing.T) {
	wiretest.Seeds(t, 20, func(t *testing.T, seed int64) {
		rng := rand.New(rand.NewPCG(uint64(seed), 8))
		w := doortest.New(t, seed, broker.Options{DataDir: "data", Files: crashfs.New()})
		disk := crashfs.New()
		p := w.Start(spooling(writing(), disk))
		var told, story []string
		n, ends, frozen, alarm := 0, 0, false, false
		collect := func() {
			told = append(told, answered(p.Calls)...)
			p.Calls = nil
		}
		for range 40 {
			step := ""
			switch d := rng.IntN(16); {
			case d < 5:
				size := 0
				if rng.IntN(3) == 0 {
					size = rng.IntN(200_000)
				}
				count := 1 + rng.IntN(12)
				step = fmt.Sprintf("%d publishes of %d octets", count, size)
				for range count {
					p.Call("POST /work", fmt.Sprintf("%04d%s", n, strings.Repeat("x", size)))
					n++
				}
			case d < 8:
				by := time.Duration(rng.Int64N(int64(2 * confirmTimeout)))
				step = fmt.Sprint("wait ", by)
				w.Advance(by)
			case d == 8 && !frozen:
				step, frozen = "freeze", true
				w.Freeze()
			case d == 9 && frozen:
				step, frozen = "thaw", false
				w.Thaw()
			case d == 10:
				step = "cut soon"
				ends++
				w.CutAt = w.Operations + 1 + rng.IntN(10)
			case d == 11:
				w.Down = !w.Down
				step = fmt.Sprint("down ", w.Down)
			case d == 12:
				w.SlowDisk = !w.SlowDisk
				step = fmt.Sprint("slow disk ", w.SlowDisk)
			case d == 13:
				alarm = !alarm
				step = fmt.Sprint("alarm ", alarm)
				w.Broker.DiskRoom(0, room(alarm), 0)
			case d == 15:
				if disk.FailAt != 0 {
					disk.FailAt = 0
				} else {
					disk.FailAt, disk.Short = disk.Steps+1, rng.IntN(2) == 0
					disk.Fail = []error{syscall.ENOSPC, syscall.EMFILE, syscall.EIO}[rng.IntN(3)]
				}
				step = fmt.Sprint("trouble with the disk: ", disk.FailAt != 0)
			case d == 14 && rng.IntN(3) == 0:
				step = "kill"
				ends++
				disk = p.Kill()
				collect()
				p = w.Start(spooling(writing(), disk))
			}
			story = append(story, step)
		}
		w.Thaw()
		w.Broker.DiskRoom(0, room(false), 0)
		w.Down, w.SlowDisk, w.CutAt, disk.FailAt = false, false, 0, 0
		emptied(w, p)
		w.Until("calls are over", time.Minute, func() bool { return p.Server.Live() == 0 })
		collect()
		bodies, copies := arrivals(t, w, "work")
		for body, c := range copies {
			if c > 1+ends {
				t.Errorf("%.4s came %d times, with %d ends", body, c, ends)
			}
		}
		if !isSubsequence(told, bodies) {
			t.Errorf("told: %.4s\ncame: %.4s\nstory: %s", told, bodies, strings.Join(story, ", "))
		}
	})
}

// room is what DiskRoom is told for a disk that is full, or is not.
func room(full bool) int64 {
	if full {
		return 0
	}
	return 1 << 40
}
