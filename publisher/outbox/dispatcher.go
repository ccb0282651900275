package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Options are what a dispatcher needs.
type Options struct {
	DB         *sql.DB
	Database   string // its name, for the log
	Connection string // whose rows are sent
	Sender     Sender
	Log        zerolog.Logger
}

// Bounds of what is in memory of a table that may have millions of rows.
const (
	fetchRows    = 250     // of one read
	fetchOctets  = 1 << 20 // of one read; one row may be larger
	flyingRows   = 1000    // that have no outcome
	flyingOctets = 4 << 20
	lateRows     = 1000 // that have no outcome in time
	heldKeys     = 10000
	removeRows   = 1000 // of one DELETE
)

// These are waits of the dispatcher.
const (
	pollEvery   = time.Second            // for rows of other processes
	sweepEvery  = time.Second            // for rows that were skipped
	linger      = 100 * time.Millisecond // with the lease, for more rows of this process
	backoffMin  = 50 * time.Millisecond
	backoffMax  = 5 * time.Second
	downMax     = time.Second // between questions whether the broker is back
	countEvery  = 10 * time.Second
	countLimit  = 2 * time.Second // of counting, which takes long in a table of very many rows
	stopWait    = 5 * time.Second // for outcomes, when the server stops
	sendReserve = time.Second     // before the end of the lease nothing is sent any more
)

// A Dispatcher sends the rows of one connection in one database and removes them. All its work is
// on one goroutine, Run; the other methods may be called on any.
type Dispatcher struct {
	o      Options
	log    zerolog.Logger
	holder string
	wake   chan struct{} // rows were committed in this process
	heard  chan struct{} // there are reports
	stop   chan struct{} // closed: nothing more is begun
	once   sync.Once
	ended  chan struct{}

	mu      sync.Mutex
	reports []report
	stats   Stats

	// The rest belongs to Run.
	table   *table // nil until the database has said what it is
	token   int64  // of the lease; 0 is none
	until   time.Time
	renewed time.Time
	sweep   sweep
	flying  map[int64]*flight
	fresh   int // rows of flying that are not late
	octets  int // of all of flying
	gone    []int64
	aside   []report // to be kept with their reasons
	counted time.Time
	trouble trouble // of the database
	down    trouble // of the connection
	refusal refusal
}

// report is an outcome on its way to Run.
type report struct {
	row *Row
	o   Outcome
	why string
}

// flight is a row that was given to the connection and has no outcome.
type flight struct {
	row  *Row
	late bool
}

// Stats are what a dispatcher has done and knows. The numbers of rows are up to 10 seconds old.
type Stats struct {
	Waiting, Aside int64
	Oldest         time.Time // of the row that waits with the lowest id; zero if none waits
	Sent           uint64    // confirmed by the broker
	Expired        uint64
	Refused        uint64
	Again          uint64 // outcomes after which a row is sent again
	Failures       uint64 // of statements
	Leading        bool   // this process sends the rows
	Down           error  // why the connection takes no rows; nil if it does
	Err            error  // why the database cannot be used; nil if it can
}

// New returns a dispatcher, whose Run does the work.
func New(o Options) *Dispatcher {
	host, _ := os.Hostname()
	d := &Dispatcher{
		o: o, log: o.Log.With().Str("database", o.Database).Str("connection", o.Connection).Logger(),
		holder: fmt.Sprintf("%s/%d", host, os.Getpid()),
		wake:   make(chan struct{}, 1), heard: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
		flying: map[int64]*flight{},
	}
	d.trouble.most, d.down.most = backoffMax, downMax
	d.trouble.what, d.down.what = "the database of the outbox cannot be used", "the outbox cannot be sent"
	return d
}

// Wake tells that rows were committed. It returns at once.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Stop tells the dispatcher to begin nothing more. What is on its way gets its outcome; then ended
// is closed, within some seconds.
func (d *Dispatcher) Stop() (ended <-chan struct{}) {
	d.once.Do(func() { close(d.stop) })
	return d.ended
}

// Stats returns the numbers. It does not use the database.
func (d *Dispatcher) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

func (d *Dispatcher) note(fn func(s *Stats)) {
	d.mu.Lock()
	fn(&d.stats)
	d.mu.Unlock()
}

// report hears an outcome. Run takes it.
func (d *Dispatcher) report(row *Row, o Outcome, why string) {
	d.mu.Lock()
	d.reports = append(d.reports, report{row, o, why})
	d.mu.Unlock()
	select {
	case d.heard <- struct{}{}:
	default:
	}
}

// Run sends rows until Stop is called or ctx ends.
func (d *Dispatcher) Run(ctx context.Context) {
	defer close(d.ended)
	for !d.stopping(ctx) {
		wait := d.turn(ctx)
		d.sleep(ctx, wait)
	}
	d.finish(ctx)
}

func (d *Dispatcher) stopping(ctx context.Context) bool {
	select {
	case <-d.stop:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// sleep waits, but not longer than until rows are committed, an outcome comes, or the dispatcher is
// to stop. After a failure, rows that are committed do not shorten the wait.
func (d *Dispatcher) sleep(ctx context.Context, wait time.Duration) {
	if wait <= 0 {
		return
	}
	wake := d.wake
	if d.trouble.any() || d.down.any() || d.token == 0 && wait < pollEvery {
		wake = nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-wake:
		d.sweep.more()
	case <-d.heard:
	case <-timer.C:
	case <-d.stop:
	case <-ctx.Done():
	}
}

// turn does what is due, and returns how long nothing else is.
func (d *Dispatcher) turn(ctx context.Context) (wait time.Duration) {
	wait, err := d.work(ctx)
	if err != nil {
		d.note(func(s *Stats) { s.Failures++; s.Err = err })
		return d.trouble.again(d.log, err)
	}
	if d.trouble.any() && d.table != nil {
		d.trouble.over(d.log, "the database of the outbox can be used again")
		d.note(func(s *Stats) { s.Err = nil })
	}
	return wait
}

// work is turn with an error of the database.
func (d *Dispatcher) work(ctx context.Context) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	if err := d.open(ctx); err != nil {
		return 0, err
	}
	d.hear()
	if err := d.settle(ctx); err != nil {
		return 0, err
	}
	if err := d.count(ctx); err != nil {
		return 0, err
	}
	if d.token == 0 {
		return d.lead(ctx)
	}
	return d.advance(ctx)
}

// open asks the database what it is and whether it has the tables.
func (d *Dispatcher) open(ctx context.Context) error {
	if d.table != nil {
		return nil
	}
	dialect, err := DialectOf(ctx, d.o.DB)
	if err != nil {
		return err
	}
	if err := Check(ctx, d.o.DB, dialect); err != nil {
		return err
	}
	d.table = newTable(d.o.DB, dialect, d.o.Connection)
	return nil
}

// count measures the rows from time to time.
func (d *Dispatcher) count(ctx context.Context) error {
	if time.Since(d.counted) < countEvery {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, countLimit)
	defer cancel()
	waiting, aside, err := d.table.count(within)
	if within.Err() != nil && ctx.Err() == nil {
		d.counted = time.Now() // the rows are sent all the same
		return nil
	}
	if err != nil {
		return err
	}
	oldest, _, err := d.table.oldest(ctx)
	if err != nil {
		return err
	}
	if d.counted.IsZero() && waiting+aside > 0 {
		d.log.Info().Int64("waiting", waiting).Int64("aside", aside).Msg("the outbox has messages of earlier calls")
	}
	d.counted = time.Now()
	d.note(func(s *Stats) { s.Waiting, s.Aside, s.Oldest = waiting, aside, oldest })
	return nil
}

// finish waits for the outcomes of what is on its way, and gives the lease back.
func (d *Dispatcher) finish(ctx context.Context) {
	limit := time.NewTimer(stopWait)
	defer limit.Stop()
	for d.table != nil {
		d.hear()
		try, cancel := context.WithTimeout(ctx, time.Second)
		err := d.settle(try)
		cancel()
		if d.fresh == 0 && len(d.gone) == 0 && len(d.aside) == 0 || ctx.Err() != nil {
			break
		}
		var retry <-chan time.Time
		if err != nil {
			retry = time.After(backoffMin)
		}
		select {
		case <-d.heard:
			continue
		case <-retry:
			continue
		case <-ctx.Done():
		case <-limit.C:
		}
		d.log.Warn().Int("messages", len(d.flying)+len(d.gone)).Msg("the outbox stops without knowing what became of some messages: they are sent again by the next process")
		break
	}
	d.yield(context.WithoutCancel(ctx))
}
