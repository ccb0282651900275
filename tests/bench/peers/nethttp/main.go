// Command nethttp answers GET /hello on the standard library.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Server", "net/http") // the library sends none by itself
		h.Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "Hello, World!") // the client has left; nobody to tell
	})
	log.Fatal(http.ListenAndServe(*addr, mux))
}
