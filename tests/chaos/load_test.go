package chaos_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"zamqp/tests/kit/wait"
)

// load posts orders from several connections until it is asked to end.
type load struct {
	server *server
	size   int // octets of a body, about
	stop   chan struct{}
	posts  sync.WaitGroup

	mu      sync.Mutex
	taken   []string       // ids answered 202
	refused map[int]int    // by status
	why     map[int]string // the last text of each
}

func newLoad(s *server, connections, size int) *load {
	l := &load{server: s, size: size, stop: make(chan struct{}), refused: map[int]int{}, why: map[int]string{}}
	for i := range connections {
		l.posts.Go(func() { l.run(i) })
	}
	return l
}

func (l *load) run(worker int) {
	padding := strings.Repeat("x", l.size)
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		id := fmt.Sprintf("%s/%d/%d", l.server.queue, worker, i)
		status, text := l.server.post(id + " " + padding)
		l.mu.Lock()
		if status == http.StatusAccepted {
			l.taken = append(l.taken, id)
		} else {
			l.refused[status]++
			l.why[status] = text
		}
		l.mu.Unlock()
		if status != http.StatusAccepted {
			time.Sleep(20 * time.Millisecond) // as a polite client
		}
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.taken)
}

// more waits until n further orders were taken.
func (l *load) more(n int) {
	l.server.t.Helper()
	want := l.count() + n
	wait.Until(l.server.t, fmt.Sprintf("%d more orders are taken", n), func() bool { return l.count() >= want })
}

// end stops the load and checks the ledgers: orders answered 202 were handled, others were
// refused with 503, and no ack went to a channel that did not know its tag, because a broker
// answers that with 406.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.posts.Wait()
	handledOnce := func(id string) bool {
		handled.Lock()
		defer handled.Unlock()
		return handled.count[id] > 0
	}
	missing := l.taken
	wait.Until(t, "all orders taken are handled", func() bool {
		for len(missing) > 0 && handledOnce(missing[0]) {
			missing = missing[1:]
		}
		return len(missing) == 0
	})
	again := 0
	handled.Lock()
	for _, id := range l.taken {
		again += handled.count[id] - 1
	}
	handled.Unlock()
	t.Logf("%d orders taken and handled, %d handled again; refused, by status: %v %v", len(l.taken), again, l.refused, l.why)
	for status := range l.refused {
		if status != http.StatusServiceUnavailable {
			t.Errorf("refused with %d: %s", status, l.why[status])
		}
	}
	if log := l.server.log.String(); strings.Contains(log, "unknown delivery tag") {
		t.Error("a tag of an old channel was acknowledged on a new one")
	}
}
