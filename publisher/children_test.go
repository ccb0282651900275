package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// TestChildrenWorkAtOnce: the work of all children is under way before any of it has
// ended, and the answer leaves after the last one.
func TestChildrenWorkAtOnce(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("GET /", func(r *publisher.Request) error {
		sum := 0
		for i := range 3 {
			r.Go(func() error {
				err := r.Offload(func() error { return nil })
				sum += i
				return err
			})
		}
		r.Go(func() error { return r.Sleep(time.Second) })
		if err := r.Wait(); err != nil {
			return err
		}
		return r.Text(200, fmt.Sprint(sum))
	})
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	if len(b.work) != 3 || len(b.done) != 0 {
		t.Fatalf("%d pieces of work are under way, %d calls are done", len(b.work), len(b.done))
	}
	b.offloaded()
	if len(b.done) != 0 {
		t.Fatal("the call did not wait for the child that sleeps")
	}
	b.advance(time.Second)
	if o := b.last(); o.status != 200 || o.body != "3" {
		t.Errorf("%+v", o)
	}
}

// TestChildFails: the first error ends the waits of the others and the context. The handler gets
// it from Wait; without Wait the call fails with it.
func TestChildFails(t *testing.T) {
	failure := errors.New("no bank")
	for _, row := range []struct {
		name   string
		child  func() error
		end    func(r *publisher.Request) error
		status int
		log    string
	}{
		{"an error", func() error { return failure }, (*publisher.Request).Wait, 500, "no bank"},
		{"an error of nobody", func() error { return failure }, func(*publisher.Request) error { return nil }, 500, "no bank"},
		{"a status", func() error { return publisher.Errorf(409, "sold") }, func(*publisher.Request) error { return nil }, 409, "sold"},
		{"a panic", func() error { panic("at the disco") }, (*publisher.Request).Wait, 500, "a function given to Go panicked: at the disco"},
		{"the end of its goroutine", func() error { runtime.Goexit(); return nil }, (*publisher.Request).Wait, 500, "runtime.Goexit"},
		{"an error that the handler forgives", func() error { return failure }, func(r *publisher.Request) error { _ = r.Wait(); return nil }, 204, ""},
		{"the context's error", func() error { return failure }, func(r *publisher.Request) error { return r.Context().Err() }, 500, "no bank"},
		{"another error of the handler", func() error { return failure }, func(r *publisher.Request) error { return publisher.Errorf(404, "gone") }, 404, "gone"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			var told, cause error
			b.reg.Produce("out", publisher.Producer{})
			b.reg.Handle("GET /", func(r *publisher.Request) error {
				_ = r.Publish("out", "never, unless it is forgiven")
				r.Go(func() error {
					told = r.Sleep(time.Hour)
					cause = context.Cause(r.Context())
					return told
				})
				r.Go(func() error {
					if err := r.Sleep(time.Second); err != nil {
						return err
					}
					return row.child()
				})
				if err := r.Sleep(2 * time.Second); err != nil { // a child does not end the waits of the handler
					t.Errorf("the handler's own wait: %v", err)
				}
				return row.end(r)
			})
			b.start(publisher.Options{})
			b.request("GET", "/", "", "")
			b.advance(time.Second)
			if told != publisher.ErrSibling || cause == nil {
				t.Errorf("the other child was told %v, its context %v", told, cause)
			}
			b.advance(time.Second)
			if row.status == 204 {
				b.confirm(0, nil)
			}
			if o := b.last(); o.status != row.status || !strings.Contains(b.log.String(), row.log) {
				t.Errorf("%+v\n%s", o, b.log.String())
			}
			if row.status != 204 && len(b.sent) != 0 {
				t.Error("published in an aborted transaction")
			}
			if strings.Contains(row.name, "panic") && !strings.Contains(b.log.String(), "children_test.go") {
				t.Errorf("the log has no stack of the child: %s", b.log.String())
			}
		})
	}
}

// TestCallWaitsForItsChildren: if a handler returns, fails or panics while children run, its
// call waits for them before the commit.
func TestCallWaitsForItsChildren(t *testing.T) {
	for name, row := range map[string]struct {
		end    func() error
		status int
	}{
		"returns": {func() error { return nil }, 204},
		"fails":   {func() error { return publisher.Errorf(400, "no") }, 400},
		"panics":  {func() error { panic("no") }, 500},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.reg.Produce("out", publisher.Producer{})
			b.reg.Handle("GET /", func(r *publisher.Request) error {
				r.Go(func() error {
					if err := r.Offload(func() error { return nil }); err != nil {
						return err
					}
					return r.Publish("out", "by the child")
				})
				return row.end()
			})
			b.start(publisher.Options{})
			b.request("GET", "/", "", "")
			if len(b.done) != 0 || len(b.sent) != 0 {
				t.Fatalf("done before the child: %+v", b.done)
			}
			b.offloaded()
			if row.status == 204 {
				if len(b.sent) != 1 {
					t.Fatalf("sent %v", b.sent)
				}
				b.confirm(0, nil)
			}
			if o := b.last(); o.status != row.status || row.status != 204 && len(b.sent) != 0 {
				t.Errorf("%+v, sent %v", o, b.sent)
			}
		})
	}
}

// TestCancelledChildren: what ends the waits of a call also ends those of its children. The call
// waits for work on other goroutines.
func TestCancelledChildren(t *testing.T) {
	b := newBench(t)
	var told []error
	b.reg.Handle("GET /", func(r *publisher.Request) error {
		for range 3 {
			r.Go(func() error { err := r.Sleep(time.Hour); told = append(told, err); return err })
		}
		r.Go(func() error { return r.Offload(func() error { return nil }) })
		return r.Wait()
	})
	b.start(publisher.Options{})
	r := b.request("GET", "/", "", "")
	r.Cancel(publisher.ErrGone)
	b.ready()
	if len(told) != 3 || told[0] != publisher.ErrGone || len(b.done) != 0 {
		t.Fatalf("told %v, done %+v", told, b.done)
	}
	b.offloaded()
	if o := b.last(); o.Err != publisher.ErrGone {
		t.Errorf("%+v", o)
	}
}

// TestManyChildren: more children than a call may have at once wait for the others, without a
// stack each, even if none of them waits.
func TestManyChildren(t *testing.T) {
	const many = 5000
	b := newBench(t)
	at, most, ended := 0, 0, 0
	b.reg.Handle("GET /wait", func(r *publisher.Request) error {
		for range many {
			r.Go(func() error {
				at++
				most = max(most, at)
				err := r.Sleep(time.Second)
				at--
				ended++
				return err
			})
		}
		return r.Wait()
	})
	b.reg.Handle("GET /nothing", func(r *publisher.Request) error {
		r.Go(func() error { return r.Sleep(time.Second) })
		for range many {
			r.Go(func() error { ended++; return nil })
		}
		return nil
	})
	b.start(publisher.Options{})
	b.request("GET", "/wait", "", "")
	for range many {
		if len(b.done) > 0 {
			break
		}
		b.advance(time.Second)
	}
	if o := b.last(); o.status != 204 || ended != many || most != 100 {
		t.Errorf("%+v; %d ended, %d at once", o, ended, most)
	}
	ended = 0
	b.request("GET", "/nothing", "", "")
	b.advance(time.Second)
	if o := b.last(); len(b.done) != 2 || o.status != 204 || ended != many {
		t.Errorf("%+v; %d ended", o, ended)
	}
}

// TestChildrenOfChildren start more, and may not wait for themselves.
func TestChildrenOfChildren(t *testing.T) {
	b := newBench(t)
	var waited error
	deep := 0
	b.reg.Handle("GET /", func(r *publisher.Request) error {
		r.Go(func() error {
			r.Go(func() error {
				waited = r.Wait()
				err := r.Sleep(time.Second)
				deep++
				return err
			})
			return r.Sleep(time.Millisecond)
		})
		return r.Wait()
	})
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	b.advance(time.Millisecond)
	b.advance(time.Second)
	if o := b.last(); o.status != 204 || deep != 1 || waited == nil || !strings.Contains(waited.Error(), "wait for itself") {
		t.Errorf("%+v, %d, %v", o, deep, waited)
	}
}

// TestChildrenAgain: after Wait a handler may start others, and a conflict of a child
// runs the handler again.
func TestChildrenAgain(t *testing.T) {
	b := newBench(t)
	runs := 0
	b.reg.Handle("GET /", func(r *publisher.Request) error {
		runs++
		r.Go(func() error { return errors.New("forgiven") })
		_ = r.Wait()
		if err := r.Context().Err(); err != nil {
			t.Errorf("the call's context after Wait: %v", err)
		}
		r.Go(func() error {
			if runs == 1 {
				return publisher.ErrConflict
			}
			return nil
		})
		return r.Wait()
	})
	b.start(publisher.Options{ConflictRetries: 1})
	b.request("GET", "/", "", "")
	if o := b.last(); o.status != 204 || runs != 2 {
		t.Errorf("%+v after %d runs", o, runs)
	}
}

// TestGoElsewhere: a goroutine that is not the handler's starts no child.
func TestGoElsewhere(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("GET /", func(r *publisher.Request) error {
		return r.Offload(func() error {
			r.Go(func() error { t.Error("a child was started"); return nil })
			return r.Wait()
		})
	})
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	b.offloadedElsewhere()
	if o := b.last(); !errors.Is(o.Err, publisher.ErrForeign) {
		t.Errorf("%+v", o)
	}
}

// offloadedElsewhere is offloaded on another goroutine, as it is in a server.
func (b *bench) offloadedElsewhere() {
	todo := b.work
	b.work = nil
	for _, w := range todo {
		done := make(chan struct{})
		go func() { defer close(done); w.fn() }()
		<-done
		w.done()
	}
	b.ready()
}

// TestChildrenOfMountedHandlers are goroutines.
func TestChildrenOfMountedHandlers(t *testing.T) {
	for name, row := range map[string]struct {
		child  func(r *publisher.Request) error
		status int
		log    string
	}{
		"all is well": {func(r *publisher.Request) error { return r.Publish("out", 1) }, 200, ""},
		"an error":    {func(r *publisher.Request) error { return errors.New("no bank") }, 500, "no bank"},
		"a panic":     {func(r *publisher.Request) error { panic("at the disco") }, 500, "a function given to Go panicked: at the disco"},
		"itself":      {func(r *publisher.Request) error { return r.Wait() }, 500, "wait for itself"},
	} {
		for _, waits := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", Wait ", waits), func(t *testing.T) {
				b := newBench(t)
				b.reg.Produce("out", publisher.Producer{})
				b.reg.Handle("GET /", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					r := publisher.FromContext(req.Context())
					r.Go(func() error { return row.child(r) })
					r.Go(func() error {
						if row.status != 200 {
							<-r.Context().Done()
						}
						return nil
					})
					if waits {
						if err := r.Wait(); err != nil {
							b.log.WriteString(err.Error())
							w.WriteHeader(500)
						}
					}
				})))
				b.start(publisher.Options{})
				b.request("GET", "/", "", "")
				if row.status == 200 {
					b.until("the publish leaves", func() bool { return len(b.sent) == 1 })
					b.confirm(0, nil)
				}
				if o := b.over(1); o.status != row.status || !strings.Contains(b.log.String(), row.log) {
					t.Errorf("%+v\n%s", o, b.log.String())
				}
				if b.server.Outside() != 0 {
					t.Errorf("%d goroutines are counted after the end", b.server.Outside())
				}
			})
		}
	}
}

// TestLimits: routes and consumers have timeouts of their own in place of server.call_timeout.
func TestLimits(t *testing.T) {
	b := newBench(t)
	sleep := func(r *publisher.Request) error { return r.Sleep(time.Hour) }
	b.reg.Handle("GET /short", sleep, publisher.RouteTimeout(time.Second))
	b.reg.Handle("GET /long", sleep, publisher.RouteTimeout(2*time.Hour))
	b.reg.Handle("GET /quick", func(r *publisher.Request) error { return nil }, publisher.RouteTimeout(time.Second))
	b.reg.Consume("short", publisher.Consumer{Timeout: time.Second}, sleep)
	b.start(publisher.Options{})
	b.request("GET", "/quick", "", "")
	b.request("GET", "/short", "", "")
	b.request("GET", "/long", "", "")
	b.message("short", 1, publisher.Publishing{})
	b.advance(time.Second)
	if len(b.done) != 3 {
		t.Fatalf("%+v", b.done)
	}
	if o := b.done[1]; o.status != 503 || o.body != "the call took too long\n" || !strings.Contains(b.log.String(), "publisher.RouteTimeout (1s)") {
		t.Errorf("%+v\n%s", o, b.log.String())
	}
	if o := b.done[2]; o.Settlement != publisher.SettleRetry || !strings.Contains(b.log.String(), "consumer.short.timeout (1s)") {
		t.Errorf("%+v\n%s", o, b.log.String())
	}
	b.server.CancelOlder(b.now, publisher.ErrShutdown) // as server.call_timeout does
	b.ready()
	b.advance(time.Hour)
	if o := b.last(); len(b.done) != 4 || o.status != 204 {
		t.Errorf("the long call: %+v", o)
	}
}
