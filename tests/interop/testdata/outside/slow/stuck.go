package slow

import (
	"net/http"
	"os"
	"sync"

	"zamqp/publisher"
)

// These handlers hold the thread of the loop and never release it.
func init() {
	for way, hold := range map[string]func(){"compute": compute, "receive": receive, "select": wait, "lock": lock, "read": read} {
		publisher.Handle("GET /stuck/"+way, func(*publisher.Request) error { hold(); return nil })
	}
	publisher.Handle("GET /stuck/inline", publisher.Inline(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { compute() })))
	// On a goroutine of its own a handler may do this.
	publisher.Handle("GET /stuck/mounted", publisher.HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { compute() })))
	publisher.Handle("GET /stuck/late", func(r *publisher.Request) error {
		err := r.Await(func(func(error)) {}) // waits until the drain cuts it
		compute()
		return err
	})
}

func compute() {
	for {
	}
}

func receive() { <-make(chan int) }

func wait() { select {} }

func lock() {
	var mu sync.Mutex
	mu.Lock()
	mu.Lock()
}

// read blocks in the system: it reads, as a plain file, a pipe to which nobody writes.
func read() {
	r, _, err := os.Pipe()
	if err == nil {
		_ = r.Fd() // from now on reads block their thread
		_, err = r.Read(make([]byte, 1))
	}
	panic(err)
}
