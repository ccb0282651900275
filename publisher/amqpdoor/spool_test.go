package amqpdoor_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/publisher/spool"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/doortest"
	"zamqp/tests/kit/wiretest"
)

// writing is a server whose calls publish.
func writing() *publisher.Registry {
	g := publisher.NewRegistry()
	g.Produce("work", publisher.Producer{Queue: "work", Codec: "text"})
	g.Produce("lost", publisher.Producer{Mandatory: true, Codec: "text"})
	g.Handle("POST /work", func(r *publisher.Request) error {
		_ = r.Publish("work", append([]byte(nil), r.Body()...))
		return r.Reply(202, nil)
	})
	g.Produce("nowhere", publisher.Producer{Exchange: "nowhere", NoDeclare: true, Codec: "text"})
	g.Handle("POST /nowhere", func(r *publisher.Request) error {
		_ = r.Publish("nowhere", append([]byte(nil), r.Body()...), publisher.Key("k"))
		return r.Reply(202, nil)
	})
	g.Handle("POST /two", func(r *publisher.Request) error {
		_ = r.Publish("work", append([]byte("a-"), r.Body()...))
		_ = r.Publish("work", append([]byte("b-"), r.Body()...))
		return r.Reply(202, nil)
	})
	g.Handle("POST /lost", func(r *publisher.Request) error {
		_ = r.Publish("lost", append([]byte(nil), r.Body()...), publisher.Key("nobody"))
		return r.Reply(202, nil)
	})
	return g
}

const confirmTimeout = 3 * time.Second

func spooling(g *publisher.Registry, disk *crashfs.FS) doortest.Setup {
	return doortest.Setup{Registry: g, Spool: disk, Client: client.Config{ConfirmTimeout: confirmTimeout, Heartbeat: time.Minute, BackoffMax: time.Second}}
}

// arrivals returns what has come to a queue: bodies in the order of their first copy, and how
// many have come more than once. Copies have the id of their first.
func arrivals(t *testing.T, w *doortest.World, queue string) (bodies []string, copies map[string]int) {
	t.Helper()
	copies = map[string]int{}
	ids := map[string]string{}
	for _, m := range w.Take(queue) {
		body := string(m.Body)
		if copies[body]++; copies[body] == 1 {
			bodies = append(bodies, body)
			ids[body] = m.MessageId
		}
		if m.MessageId == "" || ids[body] != m.MessageId {
			t.Errorf("%s came with the ids %q and %q", body, ids[body], m.MessageId)
		}
	}
	return bodies, copies
}

// answered are the bodies of calls that were told that they are done.
func answered(calls []*doortest.Call) (bodies []string) {
	for _, c := range calls {
		if c.Over && c.Status == 202 {
			bodies = append(bodies, c.Body)
		}
	}
	return bodies
}

// isSubsequence reports whether all answered publishes have arrived, in their order.
func isSubsequence(part, whole []string) bool {
	for _, s := range whole {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		}
	}
	return len(part) == 0
}

// emptied waits until the spool has nothing left.
func emptied(w *doortest.World, p *doortest.Process) {
	w.T.Helper()
	w.Until("the spool is empty", 5*time.Minute, func() bool { return p.Store.Empty() && p.Client.Ready() })
}

// TestFrozenBrokerGetsNothingTwice: a broker that is slow for longer than confirm_timeout
// still has the messages that were sent to it. As long as the channel exists they are not
// sent again, and the disk answers the calls.
func TestFrozenBrokerGetsNothingTwice(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		w := doortest.New(t, seed, broker.Options{})
		p := w.Start(spooling(writing(), crashfs.New()))
		w.Advance(time.Second)
		n := 0
		post := func() {
			p.Call("POST /work", fmt.Sprintf("%04d", n))
			n++
		}
		for range 20 {
			post()
			w.Advance(time.Millisecond)
		}
		w.Freeze()
		for range 400 { // 40 s, more than ten times confirm_timeout
			post()
			w.Advance(100 * time.Millisecond)
		}
		if late := n - len(answered(p.Calls)); late > int(confirmTimeout/(100*time.Millisecond))+2 {
			t.Errorf("%d calls of %d wait while the broker is frozen", late, n)
		}
		w.Thaw()
		for range 20 {
			post()
			w.Advance(100 * time.Millisecond)
		}
		emptied(w, p)
		w.Until("calls are answered", time.Minute, func() bool { return len(answered(p.Calls)) == n })
		bodies, copies := arrivals(t, w, "work")
		twice := 0
		for _, c := range copies {
			twice += c - 1
		}
		if len(bodies) != n || twice > 0 || !isSubsequence(answered(p.Calls), bodies) {
			t.Errorf("%d published, %d came, %d copies too many, in order: %v", n, len(bodies), twice, isSubsequence(answered(p.Calls), bodies))
		}
	})
}

// TestFrozenBrokerThatEnds: the connection ends with the freeze. The messages of the channel
// are sent once more, and never a third time.
func TestFrozenBrokerThatEnds(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		w := doortest.New(t, seed, broker.Options{})
		p := w.Start(spooling(writing(), crashfs.New()))
		w.Advance(time.Second)
		n := 0
		post := func(steps int) {
			for range steps {
				p.Call("POST /work", fmt.Sprintf("%04d", n))
				n++
				w.Advance(100 * time.Millisecond)
			}
		}
		post(5)
		w.Freeze()
		post(150)
		w.CutAt = w.Operations + 1 // the broker reads, but its answers get lost
		w.Thaw()
		post(5)
		emptied(w, p)
		bodies, copies := arrivals(t, w, "work")
		for body, c := range copies {
			if c > 2 {
				t.Errorf("%s came %d times", body, c)
			}
		}
		if len(answered(p.Calls)) != n || !isSubsequence(answered(p.Calls), bodies) {
			t.Errorf("%d answered of %d; came: %s", len(answered(p.Calls)), n, strings.Join(bodies, " "))
		}
	})
}

// TestEveryCutWithSpool cuts the wire after each operation of a story. Every call
// is answered as done, and all has come, in order.
func TestEveryCutWithSpool(t *testing.T) {
	for _, seed := range []int64{0, 7} {
		doortest.EveryCut(t, seed, func(t *testing.T, world func(broker.Options) *doortest.World) int {
			w := world(broker.Options{})
			p := w.Start(spooling(writing(), crashfs.New()))
			for i := range 12 {
				p.Call("POST /work", fmt.Sprintf("%04d", i))
				if i%4 == 0 {
					w.Advance(30 * time.Millisecond)
				}
			}
			w.Advance(time.Second)
			for i := range 12 {
				p.Call("POST /work", fmt.Sprintf("%04d", 12+i))
				if i%3 == 0 {
					w.Settle()
				}
			}
			w.Settle()
			operations := w.Operations
			emptied(w, p)
			w.Until("calls are answered", time.Minute, func() bool { return len(answered(p.Calls)) == 24 })
			bodies, copies := arrivals(t, w, "work")
			for body, c := range copies {
				if c > 2 || c > 1 && w.CutAt == 0 {
					t.Errorf("%s came %d times", body, c)
				}
			}
			if !isSubsequence(answered(p.Calls), bodies) {
				t.Errorf("came: %s", strings.Join(bodies, " "))
			}
			return operations
		})
	}
}

// TestEveryKillWithSpool kills the process after each operation of its wire, and
// starts another with its disk. What was answered comes, in order.
func TestEveryKillWithSpool(t *testing.T) {
	story := func(t *testing.T, seed int64, killAt int) (operations int) {
		w := doortest.New(t, seed, broker.Options{})
		p := w.Start(spooling(writing(), crashfs.New()))
		var disk *crashfs.FS
		w.OnOperation = func(n int) {
			if n == killAt {
				disk = p.Kill()
			}
		}
		n := 0
		post := func() {
			if disk == nil {
				p.Call("POST /work", fmt.Sprintf("%04d", n))
				n++
			}
		}
		for i := range 8 {
			post()
			if i%3 == 0 {
				w.Advance(20 * time.Millisecond)
			}
		}
		w.Advance(time.Second)
		if disk == nil {
			w.Freeze()
		}
		for range 10 { // some are late, some are on disk only
			post()
			w.Advance(confirmTimeout / 6)
		}
		w.Thaw()
		post()
		w.Advance(time.Second)
		operations = w.Operations
		told := answered(p.Calls)
		if disk != nil {
			w.OnOperation = nil
			p = w.Start(spooling(writing(), disk))
		}
		emptied(w, p)
		bodies, copies := arrivals(t, w, "work")
		for body, c := range copies {
			if c > 2 || c > 1 && disk == nil {
				t.Errorf("%s came %d times", body, c)
			}
		}
		if !isSubsequence(told, bodies) || len(told) < n && disk == nil {
			t.Errorf("told: %s\ncame: %s", strings.Join(told, " "), strings.Join(bodies, " "))
		}
		return operations
	}
	for _, seed := range []int64{0, 3} {
		doortest.Every(t, fmt.Sprintf("seed=%d/kill", seed), func(t *testing.T, at int) int { return story(t, seed, at) })
	}
}

// TestEveryPowerLossWithSpool takes the power away at each operation of the
// spool's disk. What was answered by then comes, in order.
func TestEveryPowerLossWithSpool(t *testing.T) {
	story := func(t *testing.T, seed uint64, lossAt int) (steps int) {
		w := doortest.New(t, 0, broker.Options{})
		fs := crashfs.New()
		var after *crashfs.FS
		var told []string
		var p *doortest.Process
		fs.During = func(string) {
			if steps++; steps == lossAt && p != nil {
				after, told = fs.Crash(rand.New(rand.NewPCG(seed, uint64(lossAt)))), answered(p.Calls)
				p.Crash()
			}
		}
		p = w.Start(spooling(writing(), fs))
		w.Down = true
		w.Cut()
		n := 0
		post := func(path string) {
			if after == nil {
				p.Call("POST "+path, fmt.Sprintf("%04d", n))
				n++
			}
		}
		for i := range 12 {
			post("/work")
			if i%5 != 0 {
				w.Advance(20 * time.Millisecond)
			}
		}
		post("/two")
		w.Advance(time.Second)
		w.Down = false
		w.Advance(2 * time.Second)
		if after == nil {
			w.Freeze()
		}
		for range 8 {
			post("/work")
			w.Advance(confirmTimeout / 4)
		}
		w.Thaw()
		w.Advance(2 * time.Second)
		if after == nil {
			emptied(w, p)
			told = answered(p.Calls)
		} else {
			p = w.Start(spooling(writing(), after))
			emptied(w, p)
		}
		bodies, copies := arrivals(t, w, "work")
		for body, c := range copies {
			if c > 2 {
				t.Errorf("%s came %d times", body, c)
			}
		}
		if copies["a-0012"] > 0 != (copies["b-0012"] > 0) {
			t.Errorf("half of a transaction came: %v", copies)
		}
		for i, body := range told {
			if body == "0012" { // of two publishes
				told[i] = "a-0012"
			}
		}
		if !isSubsequence(told, bodies) {
			t.Errorf("told: %s\ncame: %s", strings.Join(told, " "), strings.Join(bodies, " "))
		}
		return steps
	}
	for seed := range uint64(3) {
		doortest.Every(t, fmt.Sprintf("seed=%d/loss", seed), func(t *testing.T, at int) int { return story(t, seed, at) })
	}
}

// TestUnroutableWhileFrozen: a message that no queue takes is the error of its call while the
// broker answers. It is moved aside if the disk has answered its call.
func TestUnroutableWhileFrozen(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{})
	p := w.Start(spooling(writing(), crashfs.New()))
	w.Advance(time.Second)
	atOnce := p.Call("POST /lost", "at once")
	w.Advance(time.Second)
	if atOnce.Status != 503 || !strings.Contains(atOnce.Err.Error(), "NO_ROUTE") {
		t.Errorf("%d %v", atOnce.Status, atOnce.Err)
	}
	w.Freeze()
	early := p.Call("POST /lost", "early")
	w.Advance(2 * confirmTimeout)
	later := p.Call("POST /lost", "later")
	work := p.Call("POST /work", "work")
	w.Advance(time.Second)
	for _, c := range []*doortest.Call{early, later, work} {
		if c.Status != 202 {
			t.Errorf("%s: %d %v", c.Body, c.Status, c.Err)
		}
	}
	w.Thaw()
	w.Until("two are aside", time.Minute, func() bool { return p.Store.Stats().Rejected == 2 && p.Store.Empty() })
	if bodies, copies := arrivals(t, w, "work"); len(bodies) != 1 || copies["work"] != 1 {
		t.Error(copies)
	}
	if s := p.Status("spool", "default"); s.State != "empty, 2 aside" {
		t.Error(s)
	}
}

// TestFullSpoolWhileFrozen: publishes that are late and do not fit on the disk end with an
// error that says so, and are not sent again.
func TestFullSpoolWhileFrozen(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{})
	setup := spooling(writing(), crashfs.New())
	setup.SpoolMax = 2000
	p := w.Start(setup)
	w.Advance(time.Second)
	w.Freeze()
	for i := range 40 {
		p.Call("POST /work", fmt.Sprintf("%04d", i))
	}
	w.Advance(2 * confirmTimeout)
	unknown := 0
	for _, c := range p.Calls {
		if c.Status == 503 && strings.Contains(c.Err.Error(), "whether the broker has the message is not known") &&
			strings.Contains(c.Err.Error(), "the spool is full") {
			unknown++
		}
	}
	if done := len(answered(p.Calls)); done == 0 || unknown == 0 || done+unknown != 40 {
		t.Errorf("%d done, %d unknown of 40", done, unknown)
	}
	w.Thaw()
	emptied(w, p)
	bodies, copies := arrivals(t, w, "work")
	if len(bodies) != 40 {
		t.Errorf("%d came", len(bodies))
	}
	for body, c := range copies {
		if c > 1 {
			t.Errorf("%s came %d times", body, c)
		}
	}
}

// TestAChannelErrorAmongManyInSpool: messages to an exchange that does not exist close the
// channel. They are moved aside, and no others are; the wire is cut everywhere.
func TestAChannelErrorAmongManyInSpool(t *testing.T) {
	doortest.EveryCut(t, 0, func(t *testing.T, world func(broker.Options) *doortest.World) int {
		w := world(broker.Options{})
		w.Down = true
		p := w.Start(spooling(writing(), crashfs.New()))
		var want []string
		for i := range 20 {
			body := fmt.Sprintf("%04d", i)
			if i == 0 || i == 7 || i == 8 {
				p.Call("POST /nowhere", body)
				continue
			}
			p.Call("POST /work", body)
			want = append(want, body)
		}
		w.Advance(time.Second)
		w.Down = false
		w.Until("three are aside", 5*time.Minute, func() bool { return p.Store.Stats().Rejected >= 3 && p.Store.Empty() })
		if s := p.Status("spool", "default"); s.State != "empty, 3 aside" {
			t.Error(s)
		}
		if bodies, _ := arrivals(t, w, "work"); strings.Join(bodies, " ") != strings.Join(want, " ") {
			t.Errorf("came: %s", strings.Join(bodies, " "))
		}
		return w.Operations
	})
}

// TestBlockedBrokerThatEnds: publishes that were in flight when the broker began to block
// publishers go to disk before later ones. The order is that of the calls, even if the
// connection ends.
func TestBlockedBrokerThatEnds(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{DataDir: "data", Files: crashfs.New()})
	p := w.Start(spooling(writing(), crashfs.New()))
	w.Advance(time.Second)
	w.SlowDisk = true
	p.Call("POST /work", "0")
	p.Call("POST /work", "1")
	w.Settle()
	w.Broker.DiskRoom(0, room(true), 0)
	p.Call("POST /work", "2") // the broker says so at the next publish
	w.Advance(confirmTimeout / 3)
	p.Call("POST /work", "3")
	w.Advance(100 * time.Millisecond)
	if n := len(answered(p.Calls)); n != 4 {
		t.Errorf("%d of 4 are answered by the disk", n)
	}
	w.Take("work") // of the first copies; the broker has not confirmed them
	w.Cut()
	w.Broker.DiskRoom(0, room(false), 0)
	w.SlowDisk = false
	emptied(w, p)
	if bodies, _ := arrivals(t, w, "work"); strings.Join(bodies, " ") != "0 1 2 3" {
		t.Errorf("came: %v", bodies)
	}
}

// TestEveryBrokerCrash takes the power away from the broker after each operation of a wire.
// Every answered publish arrives, in order, at most once more.
func TestEveryBrokerCrash(t *testing.T) {
	story := func(t *testing.T, seed int64, crashAt int) (operations int) {
		files := crashfs.New()
		w := doortest.New(t, seed, broker.Options{DataDir: "data", Files: files})
		w.OnOperation = func(n int) {
			if n == crashAt {
				w.CrashBroker(files.Crash(rand.New(rand.NewPCG(uint64(seed), uint64(n)))))
			}
		}
		p := w.Start(spooling(writing(), crashfs.New()))
		n := 0
		for i := range 24 {
			p.Call("POST /work", fmt.Sprintf("%04d", n))
			n++
			switch i {
			case 8:
				w.SlowDisk = true
			case 16:
				w.SlowDisk = false
			}
			w.Advance(time.Duration(i%5) * confirmTimeout / 5)
		}
		w.Advance(time.Second)
		operations = w.Operations
		emptied(w, p)
		bodies, copies := arrivals(t, w, "work")
		for body, c := range copies {
			if c > 2 || c > 1 && crashAt == 0 {
				t.Errorf("%s came %d times", body, c)
			}
		}
		if told := answered(p.Calls); len(told) != n || !isSubsequence(told, bodies) {
			t.Errorf("told: %s\ncame: %s", strings.Join(told, " "), strings.Join(bodies, " "))
		}
		return operations
	}
	for _, seed := range []int64{0, 4} {
		doortest.Every(t, fmt.Sprintf("seed=%d/crash", seed), func(t *testing.T, at int) int { return story(t, seed, at) })
	}
}

// TestASpoolGoesOnAfterAFullDisk: while the disk of the spool takes nothing and the broker is
// away, calls are refused with the cause. When it has space again they continue, without a
// restart, and all answered publishes arrive. Messages that have left the spool can be
// recorded all the time, so a new process sends nothing twice.
func TestASpoolGoesOnAfterAFullDisk(t *testing.T) {
	for _, cause := range []string{"full", "descriptors"} {
		w := doortest.New(t, 1, broker.Options{})
		disk := crashfs.New()
		setup := spooling(writing(), disk)
		setup.SpoolReserve = 1 << 20
		p := w.Start(setup)
		w.Advance(time.Second)
		w.Down, w.CutAt = true, w.Operations+1
		p.Call("POST /work", "cuts")
		w.Until("the broker is away", time.Minute, func() bool { return !p.Client.Ready() })
		post := func(body string) *doortest.Call { return p.Call("POST /work", body+strings.Repeat("x", 200_000)) }
		for n := range 10 {
			post(fmt.Sprintf("%04d", n))
			w.Advance(time.Second)
		}
		if cause == "full" {
			disk.Room = 1
		} else {
			disk.FailAt, disk.Fail = disk.Steps+1, syscall.EMFILE
		}
		var last *doortest.Call
		for n := 10; n < 60 && (last == nil || last.Status != 503); n++ {
			last = post(fmt.Sprintf("%04d", n))
			w.Advance(time.Second)
		}
		if last.Status != 503 || !strings.Contains(p.Log.String(), "the spool's disk takes nothing now") {
			t.Fatalf("%s: %d, %s", cause, last.Status, p.Log)
		}
		if part := spoolPart(p); part.Ready || !strings.Contains(part.Detail, "goes on by itself") {
			t.Errorf("%s: %+v", cause, part)
		}
		w.Down = false
		if cause == "full" { // all messages can be sent
			emptied(w, p)
			w.Advance(time.Second)
			if p.Store.Stats().Trouble == nil {
				t.Error("the reserve was not needed")
			}
			s, _, err := spool.Open(spool.Options{Dir: "spool", FS: disk.Kill()})
			if err != nil || s.Len() > 0 {
				t.Errorf("%d messages would be sent again, %v", s.Len(), err)
			}
			w.Down, w.CutAt = true, w.Operations+1
			p.Call("POST /work", "cuts")
			w.Until("the broker is away", time.Minute, func() bool { return !p.Client.Ready() })
		}
		disk.Room, disk.FailAt = 0, 0
		w.Advance(10 * time.Second)
		if part := spoolPart(p); !part.Ready {
			t.Errorf("%s: %+v", cause, part)
		}
		w.Down = true
		more := post("more")
		w.Advance(10 * time.Second)
		if more.Status != 202 {
			t.Errorf("%s: %d with room again", cause, more.Status)
		}
		w.Down = false
		emptied(w, p)
		bodies, _ := arrivals(t, w, "work")
		if told := answered(p.Calls); !isSubsequence(told, bodies) {
			t.Errorf("%s: answered %d, %d came", cause, len(told), len(bodies))
		}
	}
}

func spoolPart(p *doortest.Process) publisher.Status {
	for _, s := range p.Door.Report() {
		if s.Kind == "spool" {
			return s
		}
	}
	return publisher.Status{}
}
