package interop_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// impatient keeps the pauses between attempts to connect short, because the tests wait for
// them.
var impatient = []string{"connection.default.backoff_min=200ms", "connection.default.backoff_max=2s"}

// patient keeps an order from being given up while a test holds the broker up.
const patient = "connection.default.confirm_timeout=5m"

// TestBrokerInTrouble uses one broker of its own for all cases, because starting one takes
// longer than everything else here.
func TestBrokerInTrouble(t *testing.T) {
	node := rabbitmq.New(t)
	t.Run("frozen", func(t *testing.T) { answerComesAfterTheConfirm(t, node) })
	t.Run("blocked", func(t *testing.T) { publishersWaitForTheAlarm(t, node) })
	t.Run("killed", func(t *testing.T) { nothingIsLostInAKill(t, rabbitNode{node}) })
	t.Run("killed under goroutines", func(t *testing.T) { confirmedOutsideOfCallsIsKept(t, rabbitNode{node}, false) })
}

// TestOurBrokerInTrouble is the same for `zamqp broker` with a data directory.
func TestOurBrokerInTrouble(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	node := aloneNode{embedded.New(t, embedded.Options{Binary: path, DataDir: t.TempDir()})}
	t.Run("killed", func(t *testing.T) { nothingIsLostInAKill(t, node) })
	t.Run("killed under goroutines", func(t *testing.T) { confirmedOutsideOfCallsIsKept(t, node, false) })
	t.Run("killed under goroutines with a spool", func(t *testing.T) { confirmedOutsideOfCallsIsKept(t, node, true) })
}

// killable is a broker that can die.
type killable interface {
	node
	kill(t *testing.T)
	restart(t *testing.T)
}

// nothingIsLostInAKill kills the broker while orders come in, and starts it
// again. HTTP that needs no broker goes on all the time, /readyz tells the truth,
// an order is answered 202 or with an error, and each 202 is consumed.
func nothingIsLostInAKill(t *testing.T, n killable) {
	s := n.launch(t, append(impatient, "connection.default.confirm_timeout=3s")...)
	stop := make(chan struct{})
	hello := watchHello(t, s, stop)
	load := newBuyers(s.url, 8)
	load.more(t, 300)
	for range 2 {
		n.kill(t)
		s.waitStatus("/readyz", http.StatusServiceUnavailable)
		if got := s.status("/livez"); got != http.StatusOK {
			t.Errorf("/livez answers %d while the broker is away", got)
		}
		before := hello.answers.Load()
		wait.Until(t, "GET /hello is answered while the broker is away", func() bool { return hello.answers.Load() > before+3 })
		n.restart(t)
		s.waitReady()
		load.more(t, 300)
	}
	ids, refused := load.end()
	t.Logf("%d orders taken; refused, by status: %v", len(ids), refused)
	close(stop)
	t.Logf("GET /hello took at most %v", <-hello.slowest)
	delete(refused, http.StatusServiceUnavailable)
	if len(refused) > 0 {
		t.Errorf("without a broker, an order is refused with 503; got also, by status: %v", refused)
	}
	// At least once: what was unacked at a kill is delivered again.
	newShop(s.url, 8).waitSeen(t, ids, 100)
	waitQueue(t, n, "zamqp-demo.billing", func(q rabbitmq.Queue) bool {
		return q.Messages == 0 && q.Consumers == 1
	})
	s.stop()
}

// greeter counts the answers to /hello.
type greeter struct {
	answers atomic.Int64
	slowest chan time.Duration // once it has stopped
}

// watchHello asks for /hello all the time until stop, and wants 200 each time.
func watchHello(t *testing.T, s *server, stop <-chan struct{}) *greeter {
	g := &greeter{slowest: make(chan time.Duration, 1)}
	go func() {
		var slowest time.Duration
		for {
			select {
			case <-stop:
				g.slowest <- slowest
				return
			case <-time.After(20 * time.Millisecond):
			}
			began := time.Now()
			if got := s.status("/hello"); got != http.StatusOK {
				t.Errorf("GET /hello: %d", got)
			}
			slowest = max(slowest, time.Since(began))
			g.answers.Add(1)
		}
	}()
	return g
}

// buyers post orders until they are stopped, whatever happens.
type buyers struct {
	shop    *shop
	stop    chan struct{}
	working sync.WaitGroup
	mu      sync.Mutex
	ids     []string    // answered with 202
	refused map[int]int // how many by status; 0 is an error of the connection
}

func newBuyers(url string, connections int) *buyers {
	b := &buyers{shop: newShop(url, connections), stop: make(chan struct{}), refused: map[int]int{}}
	for range connections {
		b.working.Go(b.buy)
	}
	return b
}

func (b *buyers) buy() {
	for {
		select {
		case <-b.stop:
			return
		default:
		}
		status, id, err := b.shop.post("")
		b.mu.Lock()
		if taken := err == nil && status == http.StatusAccepted; taken {
			b.ids = append(b.ids, id)
		} else {
			b.refused[status]++
		}
		b.mu.Unlock()
	}
}

// taken is how many orders were answered with 202 so far.
func (b *buyers) taken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ids)
}

// more waits until n further orders were taken.
func (b *buyers) more(t *testing.T, n int) {
	t.Helper()
	want := b.taken() + n
	wait.Until(t, fmt.Sprint(n, " more orders are taken"), func() bool { return b.taken() >= want })
}

// end stops them and waits for their last answers.
func (b *buyers) end() (ids []string, refused map[int]int) {
	close(b.stop)
	b.working.Wait()
	return b.ids, b.refused
}

// answerComesAfterTheConfirm freezes the broker: an order that it cannot
// confirm has no answer until it can.
func answerComesAfterTheConfirm(t *testing.T, node *rabbitmq.Node) {
	s := start(t, node.URL, patient)
	shop := newShop(s.url, 4)
	if status, _, err := shop.post(""); err != nil || status != http.StatusAccepted {
		t.Fatalf("before: %d %v", status, err)
	}
	node.Pause(t)
	resume := sync.OnceFunc(func() { node.Resume(t) })
	defer resume()
	answers := make(chan string, 1)
	go func() {
		status, _, err := shop.post("late")
		answers <- fmt.Sprint(status, " ", err)
	}()
	select {
	case got := <-answers:
		t.Errorf("an order was answered %q while the broker was frozen", got)
	case <-time.After(2 * time.Second):
	}
	if got := s.status("/hello"); got != http.StatusOK {
		t.Errorf("GET /hello meanwhile: %d", got)
	}
	resume()
	select {
	case got := <-answers:
		if got != "202 <nil>" {
			t.Errorf("after the broker went on, the order was answered %q", got)
		}
	case <-time.After(patience):
		t.Error("no answer after the broker went on")
	}
	shop.waitSeen(t, []string{"late"}, 1)
	s.stop()
}

// publishersWaitForTheAlarm raises the broker's memory alarm: publishers wait, what needs
// no publish goes on, and the wait ends with the alarm.
func publishersWaitForTheAlarm(t *testing.T, node *rabbitmq.Node) {
	s := start(t, node.URL, patient)
	node.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
	// Its connections have been told by the time that it answers this.
	wait.Until(t, "the alarm is raised", func() bool {
		return strings.Contains(node.Ctl(t, "eval", "rabbit_alarm:get_alarms()."), "memory")
	})
	shop := newShop(s.url, 4)
	answers := make(chan string, 1)
	go func() {
		status, _, err := shop.post("blocked")
		answers <- fmt.Sprint(status, " ", err)
	}()
	select {
	case got := <-answers:
		t.Errorf("an order was answered %q while the broker took none", got)
	case <-time.After(2 * time.Second):
	}
	if got := s.status("/hello"); got != http.StatusOK {
		t.Errorf("GET /hello meanwhile: %d", got)
	}
	node.Ctl(t, "set_vm_memory_high_watermark", "0.5")
	select {
	case got := <-answers:
		if got != "202 <nil>" {
			t.Errorf("after the alarm, the order was answered %q", got)
		}
	case <-time.After(patience):
		t.Error("no answer after the alarm")
	}
	shop.waitSeen(t, []string{"blocked"}, 1)
	s.stop()
}
