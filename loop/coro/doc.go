// Package coro runs handlers that can wait, on one thread.
//
// A handler is straight-line code in [Runner].Run. What it waits for parks its [Task]: the stack stays, the thread
// goes on with other work, and a later [Task.Wake] or [Ref.Wake] lets it continue in [Pool.RunReady]. Tasks stand on
// iter.Pull, which switches stacks without the scheduler: about 90 ns a call, where a goroutine and a channel need
// 420 to 460. Coroutines are pooled, so that Start, Park, Wake and RunReady allocate nothing once the pool is warm.
//
// # Rules
//
// Everything here belongs to one thread. Under a loop, which locks its thread, the pool must be made inside the
// loop's Run (Loop.OnStart): a coroutine made before runtime.LockOSThread cannot be resumed after it, and Go ends the
// process rather than the task when that is tried. For the same reason [Pool.Close] belongs into Loop.OnEnd.
//
// A *Task is valid only while its run lasts: afterwards the same Task serves another Runner. Whoever may call late (a
// timer, an answer, a confirm) keeps a [Ref], which knows the wait it was made for and is ignored after it.
//
// A panic ends that run only and reaches onPanic with its stack. So does runtime.Goexit (testing.T.FailNow is the
// usual caller), with the difference that its coroutine can neither go on nor end without taking the thread's own
// goroutine along: it is abandoned, still parked, and counted in [Stats].
package coro
