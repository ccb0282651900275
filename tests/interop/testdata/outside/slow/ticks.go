package slow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"zamqp/publisher"
)

// ticks publish from the start of the server to its end, on goroutines of their own, and
// record the confirmed messages.
var ticks = struct {
	Writers int    `key:"writers"`
	File    string `key:"file"`                           // ids of the confirmed messages, one a line
	Start   string `key:"start" oneof:"fail panic hang"`  // what the start function must do wrong
	Stop    string `key:"stop" oneof:"fail hang forever"` // what the stop function must do wrong
}{}

var (
	file    *os.File // of the ticks
	writers sync.WaitGroup
)

func init() {
	publisher.Settings("ticks", &ticks)
	publisher.Produce("ticks", publisher.Producer{Queue: "ticks", Codec: "text"})
	publisher.OnStart(startTicks)
	publisher.OnStop(stopTicks)
}

func startTicks(ctx context.Context) (err error) {
	switch ticks.Start {
	case "fail":
		return errors.New("nothing to tick with")
	case "panic":
		panic("nothing to tick with")
	case "hang":
		fmt.Fprintln(os.Stderr, "ticks: the start hangs")
		<-ctx.Done()
		return ctx.Err()
	}
	if ticks.File == "" {
		return nil
	}
	if file, err = os.OpenFile(ticks.File, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return err
	}
	for n := range ticks.Writers {
		writers.Go(func() { tick(ctx, n) })
	}
	return nil
}

// tick publishes until the server begins to stop. An error does not end it.
func tick(ctx context.Context, n int) {
	for i := 0; ctx.Err() == nil; i++ {
		if publishTick(ctx, fmt.Sprintf("%d/%d", n, i)) != nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func publishTick(ctx context.Context, text string) error {
	err := publisher.Publish(ctx, "ticks", text, publisher.MessageID(text))
	if err == nil {
		_, err = fmt.Fprintln(file, text)
	}
	return err
}

func stopTicks(ctx context.Context) error {
	switch ticks.Stop {
	case "fail":
		return errors.New("it does not stop ticking")
	case "hang":
		<-ctx.Done()
		return context.Cause(ctx)
	case "forever":
		fmt.Fprintln(os.Stderr, "ticks: the stop hangs")
		select {}
	}
	writers.Wait()
	if file == nil {
		return nil
	}
	return errors.Join(publishTick(ctx, "goodbye"), file.Close())
}
