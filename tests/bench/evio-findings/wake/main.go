// Command wake shows that evio's Wake replaces output that is still pending:
// a 32 MiB answer followed by four bytes from a Wake should arrive as both.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/tidwall/evio"
)

const (
	bigSize = 32 << 20
	tail    = "tail"
)

func main() {
	fmt.Println("expected:", bigSize+len(tail), "bytes")
	// A handler that has more to say asks to be called again.
	received("Wake inside Data", func(c evio.Conn) { c.Wake() })
	// A backend's answer comes while the client is still reading slowly.
	received("Wake 400 ms later", func(c evio.Conn) { time.AfterFunc(400*time.Millisecond, c.Wake) })
}

// received runs one server and prints what one client got from it.
func received(what string, wake func(evio.Conn)) {
	addr := make(chan string, 1)
	served := make(chan error, 1)
	stop := make(chan struct{})
	var events evio.Events
	events.Serving = func(s evio.Server) evio.Action { addr <- s.Addrs[0].String(); return evio.None }
	events.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		if in == nil { // woken
			return []byte(tail), evio.None
		}
		wake(c)
		return bytes.Repeat([]byte("x"), bigSize), evio.None
	}
	events.Tick = func() (time.Duration, evio.Action) {
		select {
		case <-stop:
			return 0, evio.Shutdown
		default:
			return 20 * time.Millisecond, evio.None
		}
	}
	go func() { served <- evio.Serve(events, "tcp://127.0.0.1:0") }()

	conn, err := net.Dial("tcp", <-addr)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := conn.Write([]byte("go")); err != nil {
		log.Fatal(err)
	}
	time.Sleep(900 * time.Millisecond) // a slow reader: the output stays pending
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	got, err := io.ReadAll(conn) // ends by the deadline: evio keeps the connection
	if netErr, ok := err.(net.Error); err != nil && !(ok && netErr.Timeout()) {
		log.Fatal(err)
	}
	fmt.Printf("%-19s%d bytes, the last four are %q\n", what+":", len(got), got[max(0, len(got)-4):])
	_ = conn.Close()
	close(stop)
	<-served
}
