package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const wrkConnections = 64

// wrkCounts is the line that wrk/report.lua prints.
type wrkCounts struct {
	Requests     int
	Microseconds int
	Bytes        int
	Connect      int
	Read         int
	Write        int
	Status       int
	Timeout      int
	P50, P99     int // latency in microseconds
	Max          int // the longest
	rest         []string
}

// wrk loads url for a time with one of the scripts under wrk/.
func (b *bench) wrk(url, script string, d time.Duration) (*wrkCounts, error) {
	return b.wrkOn(wrkConnections, url, script, d)
}

// wrkOn is wrk with so many connections.
func (b *bench) wrkOn(connections int, url, script string, d time.Duration) (*wrkCounts, error) {
	ctx, cancel := context.WithTimeout(b.ctx, d+20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "wrk", "-t1", fmt.Sprintf("-c%d", connections),
		fmt.Sprintf("-d%ds", int(d.Seconds())), "--timeout", "10s", "-s", "wrk/"+script, url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	_, text, found := strings.Cut(string(out), "\n{")
	line, rest, _ := strings.Cut(text, "\n")
	var counts wrkCounts
	if err := json.Unmarshal([]byte("{"+line), &counts); !found || err != nil {
		return nil, fmt.Errorf("wrk said no counts: %v\n%s", err, out)
	}
	counts.rest = strings.Split(strings.TrimSpace(rest), "\n")
	if n := counts.Connect + counts.Read + counts.Write + counts.Status + counts.Timeout; n > 0 || counts.Requests == 0 {
		return nil, fmt.Errorf("%w: wrk counted %d requests and %d errors\n%s", errWrong, counts.Requests, n, out)
	}
	return &counts, nil
}

// load warms a server up, then loads it, and reads its CPU clock before and after.
// settle, if given, waits for work that goes on after the last answer.
func (b *bench) load(s *server, path, script string, settle func() error) (sample, *wrkCounts, error) {
	return b.loadURL(s, "http://"+s.addr+path, script, settle)
}

func (b *bench) loadURL(s *server, url, script string, settle func() error) (sample, *wrkCounts, error) {
	if b.warm > 0 {
		if _, err := b.wrk(url, script, b.warm); err != nil {
			return sample{}, nil, s.fail(err)
		}
		if settle != nil {
			if err := settle(); err != nil {
				return sample{}, nil, s.fail(err)
			}
		}
	}
	before, err := s.cpu()
	if err != nil {
		return sample{}, nil, err
	}
	counts, err := b.wrk(url, script, b.options.load)
	if err != nil {
		return sample{}, nil, s.fail(err)
	}
	if settle != nil {
		if err := settle(); err != nil {
			return sample{}, nil, s.fail(err)
		}
	}
	after, err := s.cpu()
	if err != nil {
		return sample{}, nil, err
	}
	wall := time.Duration(counts.Microseconds) * time.Microsecond
	return sample{count: counts.Requests, wall: wall, cpu: after - before}, counts, nil
}

func httpPlain(b *bench, c contestant) (sample, error)     { return b.http(c, "report.lua", 1) }
func httpPipelined(b *bench, c contestant) (sample, error) { return b.http(c, "pipeline.lua", 16) }

// http measures GET /hello with so many requests in a write.
func (b *bench) http(c contestant, script string, deep int) (sample, error) {
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	size, err := s.probe()
	if err != nil {
		return sample{}, err
	}
	got, counts, err := b.load(s, "/hello", script, nil)
	if err != nil {
		return sample{}, err
	}
	// Every octet that wrk read belongs to an answer of the probed length. Answers
	// that were incomplete at the end count as octets but not as answers.
	under := wrkConnections * deep * size
	if d := counts.Bytes - counts.Requests*size; d < -counts.Requests || d > under+counts.Requests {
		return sample{}, fmt.Errorf("%w: %d requests gave %d octets, at %d each", errWrong, counts.Requests, counts.Bytes, size)
	}
	_, err = s.probe()
	return got, err
}
