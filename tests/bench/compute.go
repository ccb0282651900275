package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// besides is how many requests compute while GET /hello is measured.
const besides = 4

// The references show what the machine itself costs. In them our server computes
// nothing: the same work is done by as many processes of the lowest priority, or
// not at all.
const (
	computeOutside = "zamqp, others compute"
	computeNowhere = "zamqp, nothing computes"
)

// httpCompute measures GET /hello on one connection beside requests that compute.
func httpCompute(b *bench, c contestant) (sample, error) {
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	if _, err := s.probe(); err != nil {
		return sample{}, err
	}
	computing, err := s.beside(b.ctx, c.name)
	if err != nil {
		return sample{}, err
	}
	url := "http://" + s.addr + "/hello"
	if b.warm > 0 {
		if _, err := b.wrkOn(1, url, "report.lua", b.warm); err != nil {
			return sample{}, s.fail(err)
		}
	}
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	counts, err := b.wrkOn(1, url, "report.lua", b.options.load)
	if err != nil {
		return sample{}, s.fail(err)
	}
	after, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	if err := computing(); err != nil {
		return sample{}, s.fail(err)
	}
	micro := func(n int) time.Duration { return time.Duration(n) * time.Microsecond }
	return sample{count: counts.Requests, wall: micro(counts.Microseconds), cpu: after - before, p50: micro(counts.P50), p99: micro(counts.P99), max: micro(counts.Max)}, nil
}

// beside starts what computes while GET /hello is measured.
func (s *server) beside(ctx context.Context, name string) (stop func() error, err error) {
	switch name {
	case computeNowhere:
		return func() error { return nil }, nil
	case computeOutside:
		return computeLow(ctx)
	}
	return s.compute(ctx), nil
}

// computeLow starts processes that compute at the lowest priority until stop is called.
func computeLow(ctx context.Context) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var started []*exec.Cmd
	stop = func() error {
		cancel() // kills them
		for _, cmd := range started {
			_ = cmd.Wait() // it was killed
		}
		return nil
	}
	for range besides {
		cmd := exec.CommandContext(ctx, "nice", "-n", "19", "bin/nethttp", "-compute")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return nil, errors.Join(err, stop())
		}
		started = append(started, cmd)
	}
	return stop, nil
}

// compute keeps requests that compute in progress until stop is called. It is an
// error if one failed, or if none was answered.
func (s *server) compute(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	errs := make([]error, besides)
	var answered atomic.Int64
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for errs[i] == nil && ctx.Err() == nil {
				if err := s.computeOnce(ctx); err == nil {
					answered.Add(1)
				} else if ctx.Err() == nil {
					errs[i] = err
				}
			}
		})
	}
	return func() error {
		cancel()
		wg.Wait()
		if answered.Load() == 0 {
			errs = append(errs, fmt.Errorf("%w: no GET /compute was answered", errWrong))
		}
		return errors.Join(errs...)
	}
}

func (s *server) computeOnce(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/compute", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: GET /compute: %s", errWrong, resp.Status)
	}
	return nil
}
