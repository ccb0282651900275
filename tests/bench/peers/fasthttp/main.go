// Command fasthttp answers GET /hello on valyala/fasthttp.
package main

import (
	"flag"
	"log"

	"github.com/valyala/fasthttp"
)

func serve(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() || string(ctx.Path()) != "/hello" {
		ctx.Error("not found\n", fasthttp.StatusNotFound)
		return
	}
	ctx.SetContentType("text/plain")
	ctx.SetBodyString("Hello, World!")
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	s := &fasthttp.Server{Name: "fasthttp", Handler: serve}
	log.Fatal(s.ListenAndServe(*addr))
}
