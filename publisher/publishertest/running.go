package publishertest

import (
	"context"
	"errors"
	"time"

	"zamqp/publisher"
)

// Server returns the publisher's server under this one. Its Publish is [publisher.Publish] for
// this server.
//
// A test may call Publish on its own goroutine: that runs what the publish waits for. Other
// goroutines need [Server.Run].
func (s *Server) Server() *publisher.Server { return s.server }

// Run runs fn on a goroutine of its own, and returns what fn returns. Meanwhile it runs what fn
// waits for, such as the confirms of its [publisher.Publish], and what goroutines wait for that
// fn has started. Time stands still.
func (s *Server) Run(fn func() error) error {
	s.t.Helper()
	ended := make(chan error, 1)
	go func() {
		over := false
		defer func() {
			if !over { // runtime.Goexit, as of t.FailNow
				ended <- errGoexit
			}
		}()
		err := fn()
		over = true
		ended <- err
	}()
	timeout := time.After(handlerPatience)
	for {
		s.runReady()
		if s.doNext() {
			continue
		}
		select {
		case err := <-ended:
			return err
		case fn := <-s.posted:
			fn()
		case <-timeout:
			s.t.Fatal("publishertest: the function does not return, and waits for nothing that this server has")
		}
	}
}

var errGoexit = errors.New("publishertest: the function has ended its goroutine")

// untilEnd runs the OnStop functions when the test is over. It returns the context of the
// OnStart functions, which ends just before.
func (s *Server) untilEnd() context.Context {
	ctx, end := context.WithCancel(context.Background())
	s.t.Cleanup(func() {
		end()
		if s.server.HasOnStop() {
			_ = s.Run(func() error { s.server.RunOnStop(context.Background()); return nil })
		}
		s.server.End()
	})
	return ctx
}
