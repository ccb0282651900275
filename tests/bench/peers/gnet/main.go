// Command gnet answers GET /hello on panjf2000/gnet with one event loop.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/panjf2000/gnet/v2"

	"zamqp/tests/bench/peers/httphead"
)

// Only the one event loop touches the fields of server.
type server struct {
	gnet.BuiltinEventEngine
	date string
	out  []byte
}

func (s *server) OnTraffic(c gnet.Conn) gnet.Action {
	in, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	var n int
	var closing bool
	s.out, n, closing = httphead.Serve(s.out[:0], in, "gnet", s.date)
	if _, err := c.Discard(n); err != nil {
		return gnet.Close
	}
	if len(s.out) > 0 {
		if _, err := c.Write(s.out); err != nil {
			return gnet.Close
		}
	}
	if closing {
		return gnet.Close
	}
	return gnet.None
}

func (s *server) OnTick() (time.Duration, gnet.Action) {
	s.date = time.Now().UTC().Format(http.TimeFormat)
	return time.Second, gnet.None
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	s := &server{date: time.Now().UTC().Format(http.TimeFormat)}
	log.Fatal(gnet.Run(s, "tcp://"+*addr, gnet.WithNumEventLoop(1), gnet.WithTicker(true), gnet.WithTCPNoDelay(gnet.TCPNoDelay)))
}
