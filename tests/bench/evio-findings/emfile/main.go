// Command emfile shows that one EMFILE in accept ends evio's Serve, and with it
// every healthy connection.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"
)

func main() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		log.Fatal(err)
	}
	limit.Cur = 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		log.Fatal(err)
	}
	addr := make(chan string, 1)
	served := make(chan error, 1)
	var events evio.Events
	events.Serving = func(s evio.Server) evio.Action { addr <- s.Addrs[0].String(); return evio.None }
	events.Data = func(_ evio.Conn, in []byte) ([]byte, evio.Action) { return in, evio.None }
	go func() { served <- evio.Serve(events, "tcp://127.0.0.1:0") }()

	address := <-addr
	healthy := dial(address)
	fmt.Println("a healthy connection:", echo(healthy))
	// Take all descriptors but one. The next client needs that one, so its accept
	// finds none.
	var files []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			fmt.Println("out of descriptors:", err)
			break
		}
		files = append(files, f)
	}
	_ = files[len(files)-1].Close()
	late := dial(address)
	select {
	case err := <-served:
		fmt.Println("Serve returned:", err)
	case <-time.After(3 * time.Second):
		fmt.Println("Serve still runs")
	}
	fmt.Println("the healthy connection:", echo(healthy))
	_ = late.Close()
}

func dial(address string) net.Conn {
	conn, err := net.DialTimeout("tcp", address, 3*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// echo sends four bytes and says what came back.
func echo(conn net.Conn) string {
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err.Error()
	}
	b := make([]byte, 4)
	n, err := conn.Read(b)
	if err != nil {
		return err.Error()
	}
	return string(b[:n])
}
