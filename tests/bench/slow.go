package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Slow readers ask for a large answer and read a little of it now and then.
const (
	slowReaders = 1000
	slowOctets  = 32
	slowPause   = 5 * time.Second
)

// slow is what the workloads beside slow readers measure.
type slow struct {
	*server
	readers int
	stop    func() error // ends the readers
	came    chan struct{}
}

// startSlow starts a server and prepares slow readers.
func (b *bench) startSlow(c contestant) (*slow, error) {
	n := min(slowReaders, b.options.idle)
	if err := raiseFiles(n + 500); err != nil {
		return nil, err
	}
	s, err := b.startServer(c)
	if err != nil {
		return nil, err
	}
	if _, err := s.probe(); err != nil {
		s.process.stop()
		return nil, err
	}
	return &slow{server: s, readers: n}, nil
}

// begin starts the readers. When came is closed, all of them have connected.
func (s *slow) begin(b *bench) {
	ctx, cancel := context.WithCancel(b.ctx)
	errs := make([]error, s.readers)
	var wg, first sync.WaitGroup
	first.Add(s.readers)
	for i := range errs {
		wg.Go(func() { errs[i] = s.readSlowly(ctx, first.Done) })
	}
	s.came = make(chan struct{})
	go func() { first.Wait(); close(s.came) }()
	s.stop = func() error {
		cancel()
		wg.Wait()
		return errors.Join(errs...)
	}
}

// readSlowly is one reader. begun is called when it has its first octets, or will
// not get any.
func (s *slow) readSlowly(ctx context.Context, begun func()) error {
	began := sync.OnceFunc(begun)
	defer began()
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return stopped(ctx, err)
	}
	defer drop([]net.Conn{conn})
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return stopped(ctx, err)
	}
	for b := make([]byte, slowOctets); ; {
		if _, err := io.ReadFull(conn, b); err != nil {
			return stopped(ctx, fmt.Errorf("a slow reader: %w", err))
		}
		began()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(slowPause):
		}
	}
}

// stopped leaves out errors of readers that were stopped on purpose.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// httpSlow measures GET /hello on one connection, while slow readers come and after
// that.
func httpSlow(b *bench, c contestant) (sample, error) {
	s, err := b.startSlow(c)
	if err != nil {
		return sample{}, err
	}
	defer s.process.stop()
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	var counts *wrkCounts
	loaded := make(chan error, 1)
	go func() {
		var err error
		counts, err = b.wrkOn(1, "http://"+s.addr+"/hello", "report.lua", b.options.load+time.Second)
		loaded <- err
	}()
	time.Sleep(300 * time.Millisecond) // so that wrk is connected before them
	s.begin(b)
	if err := <-loaded; err != nil {
		return sample{}, s.fail(errors.Join(err, s.stop()))
	}
	<-s.came
	after, err := s.cpu()
	if err := errors.Join(err, s.stop()); err != nil {
		return sample{}, s.fail(err)
	}
	micro := func(n int) time.Duration { return time.Duration(n) * time.Microsecond }
	return sample{count: counts.Requests, wall: micro(counts.Microseconds), cpu: after - before, p50: micro(counts.P50), p99: micro(counts.P99), max: micro(counts.Max)}, nil
}

// slowMemory measures by how much the process has grown when all slow readers are
// there.
func slowMemory(b *bench, c contestant) (sample, error) {
	s, err := b.startSlow(c)
	if err != nil {
		return sample{}, err
	}
	defer s.process.stop()
	before, err := s.private()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	s.begin(b)
	<-s.came
	time.Sleep(max(b.warm, 100*time.Millisecond)) // for work that the server does later
	after, err := s.private()
	if err := errors.Join(err, s.stop()); err != nil {
		return sample{}, s.fail(err)
	}
	return sample{count: s.readers, wall: time.Since(began), bytes: after - before}, nil
}

// rpcSlow measures one request over AMQP at a time, while slow readers come and
// after that.
func rpcSlow(b *bench, c contestant) (sample, error) {
	s, err := b.startSlow(c)
	if err != nil {
		return sample{}, err
	}
	defer s.process.stop()
	var took []time.Duration
	began := time.Now()
	err = b.broker.with(func(ch *amqp.Channel) error {
		caller, err := newCaller(ch, demoHello)
		if err != nil {
			return err
		}
		if _, err := caller.run(1, max(b.warm, 100*time.Millisecond)); err != nil {
			return err
		}
		s.begin(b)
		began = time.Now()
		for end := began.Add(b.options.load + time.Second); time.Now().Before(end); {
			at := time.Now()
			if _, err := caller.run(1, 0); err != nil {
				return errors.Join(err, s.stop())
			}
			took = append(took, time.Since(at))
		}
		<-s.came
		return s.stop()
	})
	if err != nil {
		return sample{}, s.fail(err)
	}
	slices.Sort(took)
	return sample{count: len(took), wall: time.Since(began), p50: took[len(took)/2], p99: took[len(took)*99/100], max: took[len(took)-1]}, nil
}
