package loop

import "time"

// Options are the limits of a loop and what it calls outside of connections. Zero fields get their
// defaults.
type Options struct {
	ReadSize      int // bytes of the one read buffer that all connections share; 64 KiB
	ReadTurnMax   int // bytes read of one connection in a turn; 256 KiB
	WriteConnMax  int // bytes of a long output written of one connection in a turn; 128 KiB
	WriteTurnMax  int // bytes of long outputs written of all connections in a turn; 1 MiB
	AcceptTurnMax int // connections accepted by one listener in a turn; 64
	PostTurnMax   int // posted functions run in a turn; 256
	TimerTurnMax  int // timers and deadlines run in a turn; 256

	FlushTurnMax int // connections with something to send that are served in a turn, and a quarter more of those that have waited; 1024

	HighWater int // a connection is not read while more bytes of Pending than this are left after a write; 1 MiB
	InputMax  int // a socket is not read while its peer has refused more bytes of input than this; 256 KiB

	LingerTime time.Duration // how long a closed connection waits for the other side to read and close; 2 s
	LingerMax  int           // bytes of input dropped in that time; 32 MiB
	FlushTime  time.Duration // how long a connection being closed may go without any progress of its flush; 10 s

	// AcceptPause is how long a listener pauses when there is no free descriptor, even after
	// the reserved one was closed; 100 ms.
	AcceptPause time.Duration

	// SpareProcessor keeps the threads of [Loop.OffloadKind] that compute from one of the processors
	// that the process may use, if there are several. It has an effect on Linux only.
	SpareProcessor bool

	StallWarning time.Duration // how long the thread may be held before OnStall; 0 is never
	OnStall      func(Stall)   // called on the watchdog's goroutine, once a stall
	StallLimit   time.Duration // how long the thread may be held before OnLimit; 0 is never
	OnLimit      func(Stall)   // called on the watchdog's goroutine, once

	OffloadWorkers int // goroutines that Offload may use at once; 16

	// Tasks runs the tasks that are ready, once or twice in a turn. If it returns more, the next
	// poll does not wait.
	Tasks func() (more bool)

	// OnPanic is called with each panic that the loop caught: on the loop's thread, except for
	// panics of offloaded functions. nil prints them to standard error.
	OnPanic func(*PanicError)
}

// HighWaterDefault is the default of HighWater.
const HighWaterDefault = 1 << 20

// PollMax is the number of events taken from the system in a turn.
const PollMax = 256

func (o *Options) fill() {
	number := func(p *int, def int) {
		if *p <= 0 {
			*p = def
		}
	}
	number(&o.ReadSize, 64<<10)
	number(&o.ReadTurnMax, 256<<10)
	number(&o.WriteConnMax, 128<<10)
	number(&o.WriteTurnMax, 1<<20)
	number(&o.AcceptTurnMax, 64)
	number(&o.PostTurnMax, 256)
	number(&o.TimerTurnMax, 256)
	number(&o.FlushTurnMax, 1024)
	number(&o.HighWater, HighWaterDefault)
	number(&o.InputMax, 256<<10)
	number(&o.LingerMax, 32<<20)
	number(&o.OffloadWorkers, 16)
	span := func(p *time.Duration, def time.Duration) {
		if *p <= 0 {
			*p = def
		}
	}
	span(&o.LingerTime, 2*time.Second)
	span(&o.FlushTime, 10*time.Second)
	span(&o.AcceptPause, 100*time.Millisecond)
}
