// Package coro runs handlers that can wait, on one thread.
//
// A handler is straight-line code in [Runner].Run. When it has to wait, its [Task] parks: the stack
// stays, the thread goes on with other work, and a later [Task.Wake] or [Ref.Wake] lets it continue
// in [Pool.RunReady]. Tasks stand on iter.Pull, which switches stacks without the scheduler: about
// 90 ns a call, where a goroutine and a channel need 420 to 460. Coroutines are pooled, so Start,
// Park, Wake and RunReady allocate nothing once the pool is warm.
//
// # Rules
//
// Everything here belongs to one thread. Under a loop, which locks its thread, the pool must be
// made inside the loop's Run (Loop.OnStart): a coroutine made before runtime.LockOSThread cannot be
// resumed after it; if that is tried, Go ends the process, and not just the task. For the same
// reason call [Pool.Close] in Loop.OnEnd.
//
// A *Task is valid only during its run: afterwards the same Task serves another Runner. Code that
// may call late (a timer, an answer, a confirm) keeps a [Ref]. A Ref belongs to one wait, and does
// nothing after it.
//
// A panic ends only its run, and is reported to onPanic with its stack. So is runtime.Goexit
// (mostly called by testing.T.FailNow), but its coroutine can neither go on nor end without ending
// the thread's own goroutine too. Such a coroutine stays parked for ever; [Stats] counts it.
package coro
