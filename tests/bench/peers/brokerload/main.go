// Command brokerload puts load on a broker without being the bottleneck: it builds
// its frames before the clock runs, and reads only the heads of the frames that
// come. It knows only as much of AMQP as this needs.
//
//	brokerload -url URL [-count N] [-warm N] [-window N] [-persistent] publish|consume|rpc|fill|once|drop
//
// It prints "first" at the end of the warm-up, and at the end "done", what it
// counted, and the nanoseconds between the two.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"
)

type job struct {
	addr, user, password string
	queue                string
	count, warm, window  int
	size                 int
	persistent           bool
}

func main() {
	j := &job{}
	raw := flag.String("url", "amqp://guest:guest@127.0.0.1:5672/", "broker")
	flag.StringVar(&j.queue, "queue", "brokerload", "queue")
	flag.IntVar(&j.count, "count", 100000, "messages or requests that are measured")
	flag.IntVar(&j.warm, "warm", 5000, "messages or requests before them")
	flag.IntVar(&j.window, "window", 2000, "publishes without a confirm, prefetch, or requests outstanding")
	flag.IntVar(&j.size, "size", 256, "octets of a body")
	flag.BoolVar(&j.persistent, "persistent", false, "durable queue and persistent messages")
	flag.Parse()
	if err := j.run(*raw, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "brokerload:", err)
		os.Exit(1)
	}
}

func (j *job) run(raw, mode string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	j.addr, j.user = u.Host, u.User.Username()
	j.password, _ = u.User.Password()
	switch mode {
	case "publish":
		return j.publish(true)
	case "fill":
		return j.publish(false)
	case "consume":
		return j.consume()
	case "rpc":
		return j.rpc()
	case "once":
		return j.once()
	case "drop":
		return j.drop()
	}
	return fmt.Errorf("no mode %q", mode)
}

// clock measures from the end of the warm-up.
type clock struct{ began time.Time }

func (c *clock) first() {
	fmt.Println("first")
	c.began = time.Now()
}

func (c *clock) done(count int) {
	fmt.Println("done", count, time.Since(c.began).Nanoseconds())
}

// once does what a program does that starts together with its broker: it connects
// as soon as it can, publishes one message and waits for the confirm. It prints
// "trying" when it has been refused for the first time.
func (j *job) once() error {
	var c *conn
	told := false
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Microsecond) {
		nc, err := net.DialTimeout("tcp", j.addr, time.Second)
		if err == nil {
			if c, err = j.open(nc); err == nil {
				break
			}
			_ = nc.Close() // the broker does not serve yet
		}
		if time.Now().After(end) {
			return err
		}
		if !told {
			told = true
			fmt.Println("trying")
		}
	}
	if err := j.declare(c); err != nil {
		return err
	}
	if err := c.confirms(); err != nil {
		return err
	}
	if _, err := c.Write(j.publication(1)); err != nil {
		return err
	}
	confirmed := 0
	for confirmed == 0 {
		if err := c.read(func(f frame) error { confirmed += f.confirms(&c.lastConfirm); return nil }); err != nil {
			return err
		}
	}
	fmt.Println("done 1 0")
	return nil
}

// drop deletes the queue.
func (j *job) drop() error {
	c, err := j.dial()
	if err != nil {
		return err
	}
	return c.deleteQueue(j.queue)
}

var errClosed = errors.New("the broker closed the connection or the channel")
