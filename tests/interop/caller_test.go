package interop_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// directReplyTo is RabbitMQ's pseudo-queue for replies without a queue.
const directReplyTo = "amq.rabbitmq.reply-to"

// window bounds the messages that one caller has on their way.
const window = 200

// request is one message of a caller, the same for each client library.
type request struct {
	i             int
	correlationID string
	replyTo       string
	contentType   string
	headers       map[string]any // with the library's own Table and Decimal inside
	body          []byte
}

// reply is what came back for it.
type reply struct {
	correlationID, contentType string
	headers                    map[string]any
	body                       []byte
}

// library is a client library behind one shape.
type library interface {
	// open connects, declares an exclusive queue of its own and consumes from it
	// and by direct reply-to; both give to replies, which ends with the connection.
	open(url string) (ownQueue string, replies <-chan reply, err error)
	publish(queue string, r *request) error
	headers(i int) map[string]any
	close() error
}

// pattern is what bodies are cut from; building them costs nothing.
var pattern = func() []byte {
	p := make([]byte, 2<<20)
	_, _ = rand.New(rand.NewSource(7)).Read(p)
	return p
}()

// body has mostly a small size, at times none, at times many frames: of 10,000
// twenty have 1 MiB, and two hundred 64 to 300 KiB.
func body(i int) []byte {
	size := 1 + i*7919%4000
	switch {
	case i%500 == 7:
		size = 1 << 20
	case i%50 == 3:
		size = 64<<10 + i*7919%(236<<10)
	case i%10 == 0:
		size = 0
	}
	from := i * 104729 % (1 << 20)
	return pattern[from : from+size]
}

// call publishes count messages to queue, and wants each answered once, with the
// body, the content type and the headers that it was sent with.
func call(lib library, url, queue string, count int) error {
	name := fmt.Sprintf("%T", lib)
	own, replies, err := lib.open(url)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer lib.close()
	tickets := make(chan struct{}, window)
	published := make(chan error, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := range count {
			select {
			case tickets <- struct{}{}:
			case <-stop:
				return
			}
			if err := lib.publish(queue, newRequest(lib, name, own, i)); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	seen := make([]bool, count)
	for n := 0; n < count; {
		select {
		case err := <-published:
			if err != nil {
				return fmt.Errorf("%s: publish: %w", name, err)
			}
		case r, ok := <-replies:
			if !ok {
				return fmt.Errorf("%s: the connection ended after %d replies", name, n)
			}
			if err := compare(lib, name, r, seen); err != nil {
				return err
			}
			n++
			<-tickets
		case <-time.After(2 * time.Minute):
			return fmt.Errorf("%s: no reply for two minutes after %d of %d", name, n, count)
		}
	}
	return nil
}

func newRequest(lib library, name, own string, i int) *request {
	r := &request{
		i:             i,
		correlationID: fmt.Sprintf("%s:%d", name, i),
		replyTo:       own,
		contentType:   fmt.Sprintf("application/x-test; n=%d", i%7),
		headers:       lib.headers(i),
		body:          body(i),
	}
	if i%10 == 9 {
		r.replyTo = directReplyTo
	}
	return r
}

func compare(lib library, name string, r reply, seen []bool) error {
	number, ok := strings.CutPrefix(r.correlationID, name+":")
	i, err := strconv.Atoi(number)
	if !ok || err != nil || i < 0 || i >= len(seen) {
		return fmt.Errorf("%s: a reply with the correlation id %q", name, r.correlationID)
	}
	if seen[i] {
		return fmt.Errorf("%s: message %d got two replies", name, i)
	}
	seen[i] = true
	if want := body(i); !bytes.Equal(r.body, want) {
		return fmt.Errorf("%s: message %d: the reply has another body, of %d bytes for %d", name, i, len(r.body), len(want))
	}
	if want := fmt.Sprintf("application/x-test; n=%d", i%7); r.contentType != want {
		return fmt.Errorf("%s: message %d: the reply has content type %q, want %q", name, i, r.contentType, want)
	}
	if want := lib.headers(i); !reflect.DeepEqual(r.headers, want) {
		return fmt.Errorf("%s: message %d: the reply has other headers\n got %#v\nwant %#v", name, i, r.headers, want)
	}
	return nil
}

// moment is a time as a header field can carry it.
func moment(i int) time.Time { return time.Unix(1_700_000_000+int64(i), 0) }

// merge makes one stream of replies from a library's streams of deliveries; it
// ends when all of them have.
func merge[D any](sources []<-chan D, convert func(D) reply) <-chan reply {
	replies := make(chan reply, window)
	var open sync.WaitGroup
	for _, source := range sources {
		open.Go(func() {
			for d := range source {
				replies <- convert(d)
			}
		})
	}
	go func() {
		open.Wait()
		close(replies)
	}()
	return replies
}
