package loop

import "testing"

func TestStallIsLocated(t *testing.T) {
	for _, row := range []struct{ name, stack, phase, function string }{
		{"work of the broker", `goroutine 1 [running, locked to thread]:
slices.SortFunc[...](...)
	/go/src/slices/sort.go:27
zamqp/amqpproto/broker.(*queue).expire(0xc0001, 0x2)
	/src/amqpproto/broker/expire.go:12 +0x1
zamqp/loop.(*Loop).runTimers(0xc0002)
	/src/loop/timer.go:50 +0x1
zamqp/loop.(*Loop).turn(0xc0002)
`, "timers", "zamqp/amqpproto/broker.(*queue).expire"},
		{"a library on the loop", `goroutine 1 [runnable, locked to thread]:
runtime.gopark(0x1)
	/go/src/runtime/proc.go:1
github.com/x/y.Z.func1()
	/src/y.go:1 +0x1
zamqp/loop.(*mailbox).run(0xc0002)
`, "posted functions", "github.com/x/y.Z.func1"},
		{"a program's own", "goroutine 1 [running]:\nmain.work(...)\n\t/x.go:1\n", "", "main.work"},
		{"nothing", "", "", ""},
	} {
		s := Stall{Stack: []byte(row.stack)}
		if s.locate(); s.Phase != row.phase || s.Function != row.function {
			t.Errorf("%s: %q %q", row.name, s.Phase, s.Function)
		}
	}
}
