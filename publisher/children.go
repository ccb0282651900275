package publisher

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"zamqp/loop/coro"
)

// ErrSibling ends the waits of a function given to [Request.Go] when another one of
// the same call has failed. [Request.Wait] gives the other one's error.
var ErrSibling = errors.New("another function given to Go has failed")

// childrenMax is how many children of one call run at once. Each has a stack of its
// own. More wait until others have ended.
const childrenMax = 100

// childName is what a child is called in the error of its panic.
const childName = "a function given to Go"

// Go starts fn as a child of the call, which runs while the handler goes on:
//
//	r.Go(func() error { return r.Offload(askTheBank) })
//	r.Go(func() (err error) { stock, err = r.Call("stock", order); return err })
//	err := r.Wait()
//
// A child is a coroutine on the loop's thread, as the handler is. Only one of them
// runs at a time, and each gives way to the others only where it waits. So what they
// share needs no lock, and a child that blocks or computes holds up the whole server,
// as a handler does.
//
// A child may do what its handler may, such as Sleep, Call, Offload and Publish, and
// start more children. It cannot use [Request.Wait] and [Stream.Write]. It begins
// before Go returns, unless 100 children of the call are waiting already; then it
// begins when one of them has ended.
//
// The first error of a child ends the waits of the other children, with [ErrSibling], and the
// call's [Request.Context] until Wait has returned. A panic counts as an error, a
// [PanicError]. The handler's own waits go on.
//
// A child ends with its call. When the handler returns before its children have ended, the
// call waits for them before it commits. If the handler has returned an error, the waits of
// the children end as after the error of a child. If it has returned nil, the error of a
// child becomes the call's. Whatever ends the waits of a call also ends those of its
// children: its client has gone, its time is up, a drain is cut short.
//
// Under [HTTP] the child runs on a goroutine of its own. Then an error of another
// child ends only its Context.
func (r *Request) Go(fn func() error) {
	if r.toCall != nil {
		r.toCall.startChild(fn)
		return
	}
	if r.usable() != nil { // usable has logged it
		return
	}
	g := r.openChildren()
	if g.err != nil { // fn would have to stop at once
		return
	}
	if len(g.running) >= childrenMax || len(g.line) > 0 {
		g.line = append(g.line, fn)
		return
	}
	g.start(fn)
}

// Wait waits until all children of the call have ended, and returns the error of the
// first that failed. It returns nil if there are no children. It does not return
// before they have ended, even if the call is cancelled, since they may use what
// the handler has on its stack.
func (r *Request) Wait() error {
	if r.toCall != nil {
		return r.toCall.waitForChildren()
	}
	if err := r.usable(); err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	if r.isChild() {
		return errWaitInChild
	}
	return r.waitForChildren()
}

var errWaitInChild = errors.New("wait: called in " + childName + ", which would wait for itself: return to the handler")

// children are the children of one call, from the first Go to the end of Wait.
type children struct {
	r       *Request
	running []*child
	line    []func() error // to be started when others have ended
	pumping bool           // a function is posted that starts some of them
	err     error          // of the child that failed first
	cancel  context.CancelCauseFunc
	outer   context.Context // the call's context, while that of the children replaces it
}

// A child is one function given to Go.
type child struct {
	strand
	of   *children
	fn   func() error
	slot int // in of.running
}

// openChildren returns the call's children. It makes the context that ends when one of them
// fails. No offloaded work is under way, so no other goroutine reads r.ctx now.
func (r *Request) openChildren() *children {
	if r.children == nil {
		g := &children{r: r, outer: r.Context()}
		r.ctx, g.cancel = context.WithCancelCause(g.outer)
		r.children = g
	}
	return r.children
}

// start runs fn until its first wait.
func (g *children) start(fn func() error) {
	r := g.r
	c := &child{of: g, fn: fn, slot: len(g.running)}
	g.running = append(g.running, c)
	r.server.stats.Children++
	caller := r.running
	r.server.tasks.Start(c)
	r.enter(caller)
}

// Run is the child's task.
func (c *child) Run(t *coro.Task) {
	c.task, c.self = t, coro.Self()
	c.of.r.enter(&c.strand)
	err := error(&PanicError{Value: "runtime.Goexit was called", who: childName})
	defer func() { c.end(err) }()
	err = guardAs(childName, c.fn)
}

// end removes a child that has ended. Its coroutine may serve another call from here on.
func (c *child) end(err error) {
	g := c.of
	r := g.r
	last := len(g.running) - 1
	g.running[c.slot] = g.running[last]
	g.running[c.slot].slot = c.slot
	g.running[last] = nil
	g.running = g.running[:last]
	r.enter(&r.main)
	r.server.runtime.Enter(nil)
	if err != nil {
		g.fail(err)
	}
	g.pump()
	if g.over() {
		r.main.wake()
	}
}

func (g *children) over() bool { return len(g.running)+len(g.line) == 0 }

// pump posts a function that starts children from the line. They are not started here, on the
// stack of a child that has ended: thousands may end without a wait, and the stack would grow
// with each.
func (g *children) pump() {
	if len(g.line) == 0 || g.pumping || len(g.running) >= childrenMax {
		return
	}
	g.pumping = g.r.server.runtime.Post(func() {
		g.pumping = false
		for n := 0; n < childrenMax && len(g.line) > 0 && len(g.running) < childrenMax; n++ {
			fn := g.line[0]
			g.line[0] = nil
			g.line = g.line[1:]
			g.startApart(fn)
		}
		g.pump()
	})
}

// startApart is start for callers that are not a strand of the call.
func (g *children) startApart(fn func() error) {
	g.start(fn)
	g.r.server.runtime.Enter(nil)
}

// fail keeps the first error and ends the waits of the other children. Children that have not
// begun never begin.
func (g *children) fail(err error) {
	if g.err != nil {
		return
	}
	g.err, g.line = err, nil
	g.cancel(err)
	g.wake()
}

func (g *children) wake() {
	for _, c := range g.running {
		c.wake()
	}
}

// cancelled is called when the call is cancelled.
func (g *children) cancelled(cause error) {
	if cause == ErrDraining { // a stream may go on
		g.wake()
		return
	}
	g.fail(cause)
	g.wake()
	if g.over() {
		g.r.main.wake()
	}
}

// waitForChildren is Wait without its checks of the caller.
func (r *Request) waitForChildren() error {
	g := r.children
	if g == nil {
		return nil
	}
	for !g.over() {
		r.park()
	}
	r.children, r.ctx = nil, g.outer // the children's context ends with the call, so a body that a child has received can still be read
	return g.err
}

// join ends the call's children. err is what their handler has returned. join returns the
// error with which the call goes on.
func (r *Request) join(err error) error {
	g := r.children
	if g == nil {
		return err
	}
	first := g.err
	if err != nil {
		err = checkError(err)
		g.fail(err)
	}
	failed := r.waitForChildren()
	if err == nil || first != nil && errors.Is(err, context.Canceled) { // a child's error may have caused the handler's Canceled
		return failed
	}
	return err
}

// guardAs is guard with another name for what panics.
func guardAs(who string, f func() error) error {
	err := guard(f)
	if p, ok := err.(*PanicError); ok && p.who == "" {
		named := *p
		named.who = who
		return &named
	}
	return err
}

// bridgeChildren are the children of a mounted handler, each on a goroutine. All fields
// except ids are for the loop's thread.
type bridgeChildren struct {
	live    int
	err     error
	waiting []*pause
	cancel  context.CancelCauseFunc
}

// startChild is [Request.Go].
func (b *bridge) startChild(fn func() error) {
	err := b.do(func(r *Request) error {
		if b.children.live == 0 && b.children.cancel == nil {
			ctx, cancel := context.WithCancelCause(r.Context())
			b.childContext.Store(&ctx)
			b.children.cancel = cancel
		}
		b.children.live++
		b.server.outside++
		b.server.stats.Children++
		return nil
	})
	if err != nil {
		b.server.foreign.log(b.server, err)
		return
	}
	b.parent.Store(true)
	go func() {
		err := error(&PanicError{Value: "runtime.Goexit was called", who: childName, Stack: debug.Stack()})
		defer func() { b.server.runtime.Post(func() { b.endChild(err) }) }()
		self := coro.Identity()
		b.childGoroutines.Store(self, true)
		defer b.childGoroutines.Delete(self)
		err = guardAs(childName, fn)
	}()
}

// endChild removes a child that has ended. Loop thread.
func (b *bridge) endChild(err error) {
	g := &b.children
	g.live--
	b.server.outside--
	if err != nil {
		b.failChildren(err)
	}
	if g.live == 0 {
		for _, p := range g.waiting {
			p.end(nil)
		}
		g.waiting = nil
	}
}

func (b *bridge) failChildren(err error) {
	if g := &b.children; g.err == nil {
		g.err = err
		g.cancel(err)
	}
}

// waitForChildren is [Request.Wait].
func (b *bridge) waitForChildren() error {
	if _, is := b.childGoroutines.Load(coro.Identity()); is {
		return errWaitInChild
	}
	if !b.parent.Load() {
		return nil
	}
	err := b.awaitAs(&pause{firm: true}, func(_ *Request, p *pause) error {
		if b.children.live == 0 {
			p.end(nil)
		} else {
			b.children.waiting = append(b.children.waiting, p)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	return b.closeChildren()
}

// closeChildren returns the first error and lets the next Go start with new children.
func (b *bridge) closeChildren() (first error) {
	err := b.do(func(*Request) error {
		if b.children.live == 0 {
			first, b.children = b.children.err, bridgeChildren{}
			b.childContext.Store(nil)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	return first
}

// joinChildren is [Request.join] for a mounted handler that has ended.
func (b *bridge) joinChildren(failure error) error {
	if !b.parent.Load() {
		return failure
	}
	if failure != nil {
		_ = b.do(func(*Request) error {
			if b.children.cancel != nil {
				b.failChildren(failure)
			}
			return nil
		})
	}
	err := b.waitForChildren()
	if failure != nil || errors.Is(err, ErrOver) { // ErrOver: the connection was taken over, and the call is over
		return failure
	}
	return err
}
