// Command evio answers GET /hello on tidwall/evio with one event loop.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/tidwall/evio"

	"zamqp/tests/bench/peers/httphead"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()

	// Only the one loop touches both.
	date := time.Now().UTC().Format(http.TimeFormat)
	var out []byte

	events := evio.Events{NumLoops: 1}
	events.Opened = func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
		c.SetContext(new(evio.InputStream))
		// InputStream copies what it keeps, so it may get the read buffer.
		return nil, evio.Options{ReuseInputBuffer: true}, evio.None
	}
	events.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		stream := c.Context().(*evio.InputStream)
		data := stream.Begin(in)
		var n int
		var closing bool
		out, n, closing = httphead.Serve(out[:0], data, "evio", date)
		stream.End(data[n:])
		if closing {
			return out, evio.Close
		}
		return out, evio.None
	}
	events.Tick = func() (time.Duration, evio.Action) {
		date = time.Now().UTC().Format(http.TimeFormat)
		return time.Second, evio.None
	}
	log.Fatal(evio.Serve(events, "tcp://"+*addr))
}
