package amqpdoor_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/tests/kit/doortest"
)

// poisoned is a server that is ended by each message with "poison" in its body.
type poisoned struct {
	p    *doortest.Process
	ends int
	done map[string]bool
}

func (x *poisoned) handle(r *publisher.Request) error {
	p := x.p
	body := string(r.Body())
	if strings.HasSuffix(body, "3") { // some take a while before they do harm
		_ = r.Sleep(20 * time.Millisecond)
	}
	if p.Killed() || strings.HasPrefix(body, "poison") {
		if !p.Killed() {
			x.ends++
			p.Crash()
		}
		return r.Sleep(24 * time.Hour) // nobody wakes it any more
	}
	if err := r.Sleep(time.Millisecond); err != nil {
		return err
	}
	x.done[body] = true
	return nil
}

func (x *poisoned) start(w *doortest.World, dir string) {
	g := publisher.NewRegistry()
	for _, queue := range []string{"red", "blue"} {
		g.Consume(queue, publisher.Consumer{Queue: queue, Prefetch: 5, Codec: "text"}, x.handle)
	}
	x.p = w.Start(doortest.Setup{Registry: g, InHand: dir, Client: client.Config{ConfirmTimeout: 10 * time.Second, Heartbeat: time.Minute}})
}

// TestPoisonsOfTwoQueues has messages of two consumers end the process. If one could do that
// while another one moves to the quarantine or to the dead letters, the copy and the original
// of the other one would both exist. Each is given up once, after at most retry.crashes ends.
func TestPoisonsOfTwoQueues(t *testing.T) {
	for seed := range int64(40) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := doortest.New(t, seed, broker.Options{})
			x := &poisoned{done: map[string]bool{}}
			dir := t.TempDir()
			x.start(w, dir)
			w.Advance(time.Second)
			poisons, harmless := 0, 0
			put := func(queue, body string) {
				w.Put(queue, amqp.Publishing{DeliveryMode: amqp.Persistent, MessageId: body, Body: []byte(body)})
			}
			for i := range 4 {
				for _, queue := range []string{"red", "blue"} {
					poisons++
					put(queue, fmt.Sprintf("poison %s %d", queue, i))
					for j := range 3 {
						harmless++
						put(queue, fmt.Sprintf("harmless %s %d %d", queue, i, j))
					}
				}
			}
			dead := func() int { return w.Messages("red.dead") + w.Messages("blue.dead") }
			w.Until("all are handled or dead", 30*time.Minute, func() bool {
				if x.p.Killed() {
					dir = copied(t, dir)
					x.start(w, dir)
				}
				return dead() >= poisons && len(x.done) == harmless && w.Messages("red")+w.Messages("blue")+
					w.Messages("red.quarantine")+w.Messages("blue.quarantine") == 0
			})
			w.Advance(time.Minute)
			if n := dead(); n != poisons {
				t.Errorf("%d dead letters of %d messages", n, poisons)
			}
			if most := poisons * publisher.RetryCrashes; x.ends > most {
				t.Errorf("%d ends of the process, want at most %d", x.ends, most)
			}
		})
	}
}

// copied is a copy of the directory as the next process finds it after a kill: this process
// still holds the locks of the files.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}
