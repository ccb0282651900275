package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	benchQueue = "bench"
	runLimit   = 3 * time.Minute // octets of a message in a consume or publish run
)

// warmMessages is how many messages come before the measured ones.
func (b *bench) warmMessages() int { return b.messages / 20 }

func (b *bench) job(mode, queue string) []string {
	return []string{"-url", b.broker.url, "-queue", queue, "-window", strconv.Itoa(window),
		"-count", strconv.Itoa(b.messages), "-warm", strconv.Itoa(b.warmMessages()), mode}
}

// consume preloads the queue, starts the contestant and reads its CPU clock when
// the first messages are done and when the last one is.
func consume(b *bench, c contestant) (sample, error) {
	total := b.messages + b.warmMessages()
	if err := b.broker.preload(b.ctx, benchQueue, total); err != nil {
		return sample{}, err
	}
	var env, args []string
	if c.prog.isOurs() {
		addr, err := freeAddr()
		if err != nil {
			return sample{}, err
		}
		env = append(b.oursEnv(addr), "BENCH_CONSUME=1", "BENCH_COUNT="+strconv.Itoa(b.messages), "BENCH_WARM="+strconv.Itoa(b.warmMessages()))
	} else {
		args = b.job("consume", benchQueue)
	}
	p, err := b.start(c, env, args...)
	if err != nil {
		return sample{}, err
	}
	got, err := b.between(p, total)
	p.stop()
	if err != nil {
		return sample{}, err
	}
	// Messages that were not acked are back in the queue now.
	return got, b.broker.await(b.ctx, benchQueue, 0, 5*time.Second)
}

// between measures from a process's "first" to its "done" and checks the numbers
// that it prints.
func (b *bench) between(p *process, total int) (sample, error) {
	if _, err := p.expect(b.ctx, "first", runLimit); err != nil {
		return sample{}, err
	}
	began := time.Now()
	before, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	said, err := p.expect(b.ctx, "done", runLimit)
	if err != nil {
		return sample{}, err
	}
	wall := time.Since(began)
	after, err := p.quiet(b.ctx)
	if err != nil {
		return sample{}, err
	}
	if want := fmt.Sprint(b.messages, " ", total*messageSize); said != want {
		return sample{}, fmt.Errorf("%w: it saw %q, not %q", errWrong, said, want)
	}
	return sample{count: b.messages, wall: wall, cpu: after - before}, nil
}

// publish lets the contestant publish into a fresh queue.
func publish(b *bench, c contestant) (sample, error) {
	if err := b.broker.fresh(benchQueue); err != nil {
		return sample{}, err
	}
	total := b.messages + b.warmMessages()
	var got sample
	var err error
	if c.prog.isOurs() {
		got, err = b.publishOurs(c)
	} else {
		got, err = b.publishPeer(c, total)
	}
	if err != nil {
		return sample{}, err
	}
	if err := b.broker.await(b.ctx, benchQueue, total, 5*time.Second); err != nil {
		return sample{}, err
	}
	return got, b.broker.fresh(benchQueue)
}

func (b *bench) publishPeer(c contestant, total int) (sample, error) {
	p, err := b.start(c, nil, b.job("publish", benchQueue)...)
	if err != nil {
		return sample{}, err
	}
	defer p.stop()
	return b.between(p, total)
}

// Our publishes leave when a transaction commits, so 1000 outstanding publishes are
// four calls that publish 250 each.
const (
	burstCalls = 4
	burstSize  = window / burstCalls
)

func (b *bench) publishOurs(c contestant) (sample, error) {
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	if err := s.bursts(b.warmMessages()); err != nil {
		return sample{}, s.fail(err)
	}
	began := time.Now()
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	if err := s.bursts(b.messages); err != nil {
		return sample{}, s.fail(err)
	}
	wall := time.Since(began)
	after, err := s.cpu()
	return sample{count: b.messages, wall: wall, cpu: after - before}, err
}

// bursts makes the server publish n messages. Each answer says that all messages of
// its burst are confirmed.
func (s *server) bursts(n int) error {
	sizes := make(chan int)
	errs := make(chan error, burstCalls)
	client := &http.Client{Timeout: runLimit, Transport: &http.Transport{MaxIdleConnsPerHost: burstCalls}}
	defer client.CloseIdleConnections()
	var calls sync.WaitGroup
	for range burstCalls {
		calls.Go(func() {
			for size := range sizes {
				if err := post(client, fmt.Sprintf("http://%s/burst?n=%d", s.addr, size)); err != nil {
					select {
					case errs <- err:
					default: // one is enough
					}
				}
			}
		})
	}
	for ; n > 0 && len(errs) == 0; n -= burstSize {
		sizes <- min(n, burstSize)
	}
	close(sizes)
	calls.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func post(client *http.Client, url string) error {
	resp, err := client.Post(url, "text/plain", nil)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: %s: %s %s", errWrong, url, resp.Status, text)
	}
	return err
}
