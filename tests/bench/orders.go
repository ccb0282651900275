package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// orders64 posts orders from 64 connections. It reads the CPU clock when the
// consumer has taken the last order too.
func orders64(b *bench, c contestant) (sample, error) {
	queue := "bench.billing"
	var flags []string
	if c.prog.isOurs() {
		queue = demoBilling
	} else {
		flags = []string{"-url", b.broker.url}
	}
	s, err := b.startServer(c, flags...)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	// The queue has no ready message while the consumer keeps up with it. The
	// consumer settles its unacked messages soon after.
	settle := func() error {
		if err := b.broker.await(b.ctx, queue, 0, 30*time.Second); err != nil {
			return err
		}
		_, err := s.quiet(b.ctx)
		return err
	}
	got, counts, err := b.load(s, "/orders", "orders.lua", settle)
	if err != nil {
		return sample{}, err
	}
	if err := checkOrders(s, counts); err != nil {
		return sample{}, s.fail(err)
	}
	s.stop()
	return got, b.broker.await(b.ctx, queue, 0, 5*time.Second) // nothing was left unacked
}

// askedMax bounds how many orders are checked. Kept answers are 64 orders apart,
// and our server remembers the last 100,000.
const askedMax = 500

// checkOrders checks the latest orders whose answers wrk kept: the consumer must
// have seen each of them exactly once.
func checkOrders(s *server, counts *wrkCounts) error {
	if len(counts.rest) < 2 || counts.rest[0] != "refused 0" {
		return fmt.Errorf("%w: not every order was answered 202: %.200q", errWrong, counts.rest)
	}
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	asked := 0
	kept := counts.rest[1:]
	for _, line := range kept[max(0, len(kept)-askedMax):] {
		if line == "" {
			continue
		}
		var order struct{ ID string }
		if err := json.Unmarshal([]byte(line), &order); err != nil || order.ID == "" {
			return fmt.Errorf("%w: the answer to an order was %.200q", errWrong, line)
		}
		seen, err := timesSeen(client, "http://"+s.addr+"/orders/"+order.ID)
		if err != nil {
			return err
		}
		if seen != 1 {
			return fmt.Errorf("%w: order %s was seen %d times", errWrong, order.ID, seen)
		}
		asked++
	}
	if asked == 0 {
		return fmt.Errorf("%w: no order to ask for", errWrong)
	}
	return nil
}

func timesSeen(client *http.Client, url string) (int, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	if err != nil {
		return 0, err
	}
	var order struct{ Seen int }
	if err := json.Unmarshal(text, &order); err != nil || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%w: %s: %s %.200s", errWrong, url, resp.Status, text)
	}
	return order.Seen, nil
}
