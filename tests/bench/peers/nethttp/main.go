// Command nethttp answers GET /hello on the standard library.
package main

import (
	"crypto/tls"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"

	"zamqp/tests/bench/peers/report"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	secure := flag.String("tls", "", "address to listen on for HTTPS")
	cert := flag.String("cert", "", "file of the certificate for HTTPS")
	key := flag.String("key", "", "file of its key")
	only := flag.Bool("compute", false, "serve nothing and compute until killed")
	files := flag.String("files", "", "directory to serve at /files/")
	flag.Parse()
	for sum := uint64(1); *only && sum != 0; { // it is never 0
		sum = report.Compute()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /compute", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strconv.FormatUint(report.Compute(), 10))
	})
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) {
		for range report.LargePieces {
			if _, err := w.Write(report.LargePiece); err != nil {
				return // the client has left
			}
		}
	})
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Server", "net/http") // the library does not send one by itself
		h.Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "Hello, World!") // the client has left; nobody to tell
	})
	h := &hub{clients: map[chan []byte]struct{}{}}
	mux.HandleFunc("GET /events", h.follow)
	mux.HandleFunc("POST /events", h.broadcast)
	if *files != "" {
		mux.Handle("GET /files/", http.StripPrefix("/files/", http.FileServerFS(os.DirFS(*files))))
	}
	if *secure != "" {
		plain := &http.Server{Addr: *secure, Handler: mux, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}} // no HTTP/2
		go func() { log.Fatal(plain.ListenAndServeTLS(*cert, *key)) }()
	}
	log.Fatal(http.ListenAndServe(*addr, mux))
}
