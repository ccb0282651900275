package nethttp_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/http/pprof"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"zamqp/tests/kit/selfsigned"
)

// itself is the address of the server that runs a handler.
func itself(r *http.Request) *url.URL {
	return &url.URL{Scheme: "http", Host: r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()}
}

// TestMonitoring: what watches a program.
func TestMonitoring(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "things_total", Help: "Things."}, []string{"kind"})
	registry.MustRegister(c)
	for i := range 5 {
		c.WithLabelValues(fmt.Sprint("kind", i)).Inc()
	}
	metrics := plain(promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	compare(t, []row{
		{name: "promhttp", handler: metrics},
		{name: "promhttp, HEAD", request: method("HEAD"), handler: metrics},
		{name: "promhttp, gzip", request: with("Accept-Encoding: gzip\r\n"), handler: metrics},
		{name: "promhttp, OpenMetrics", request: with("Accept: application/openmetrics-text; version=1.0.0\r\n"), handler: metrics},
		{name: "pprof, command line", handler: plain(http.HandlerFunc(pprof.Cmdline))},
		{name: "pprof, symbol", request: target("/debug/pprof/symbol?0x1"), handler: plain(http.HandlerFunc(pprof.Symbol))},
		{name: "pprof, symbol by POST", request: post("Content-Length: 3\r\n", "0x1"), handler: plain(http.HandlerFunc(pprof.Symbol))},
		{name: "pprof, unknown", handler: plain(pprof.Handler("unknown"))},
		{name: "pprof, bad profile", request: target("/debug/pprof/heap?seconds=x"), handler: plain(pprof.Handler("heap"))},
	})
}

// TestProfile: a profile of the processor takes its time, and other requests go on.
func TestProfile(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	at := "http://" + serveMounted(t, mux)
	client := &http.Client{Timeout: patience}
	done := make(chan error, 1)
	go func() {
		answer, err := client.Get(at + "/debug/pprof/profile?seconds=1")
		if err == nil {
			defer answer.Body.Close()
			var body []byte
			if body, err = io.ReadAll(answer.Body); err == nil && (answer.StatusCode != 200 || !strings.HasPrefix(string(body), "\x1f\x8b")) {
				err = fmt.Errorf("%s: %.100q", answer.Status, body)
			}
		}
		done <- err
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
		answer, err := client.Get(at + "/hello")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
}

// TestProxies: a proxy to another server, and one to the server itself, which must not wait for
// itself.
func TestProxies(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
		switch r.URL.Path {
		case "/early":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		case "/trailers":
			w.Header().Set("Trailer", "X-Sum")
			defer w.Header().Set("X-Sum", "1")
		case "/broken":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("Te"))
	}))
	t.Cleanup(backend.Close)
	to, _ := url.Parse(backend.URL)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	single := plain(proxy)
	rewriting := plain(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() }})
	own := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		if strings.HasPrefix(r.URL.Path, "/inner") {
			body, _ := io.ReadAll(r.Body)
			see(r.Method, r.URL.Path, string(body))
			_, _ = io.WriteString(w, "from within")
			return
		}
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(itself(r.In))
			r.Out.URL.Path = "/inner"
		}}
		proxy.ServeHTTP(w, r)
	}
	compare(t, []row{
		{name: "rewriting", inline: waits, handler: rewriting},
		{name: "1xx", request: target("/early"), inline: waits, handler: single},
		{name: "trailers", request: target("/trailers"), inline: waits, handler: single},
		{name: "trailers asked for", request: strings.Replace(target("/trailers"), "Host: h\r\n", "Host: h\r\nTE: trailers\r\nConnection: TE\r\n", 1), inline: waits, handler: single},
		{name: "cut by the backend", request: target("/broken"), inline: waits, handler: single},
		{name: "to itself", inline: waits, handler: own},
		{name: "to itself, POST", request: post("Content-Length: 4\r\n", "body"), inline: waits, handler: own},
		{name: "to itself, chunked POST", request: post("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n"), inline: waits, handler: own},
	})
}

// TestProxiedStream: what a backend flushes arrives before it says more.
func TestProxiedStream(t *testing.T) {
	goOn := make(chan bool)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "line %d\n", i)
			_ = http.NewResponseController(w).Flush()
			<-goOn
		}
	}))
	t.Cleanup(backend.Close)
	to, _ := url.Parse(backend.URL)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	for name, serve := range map[string]func(*testing.T, http.Handler) string{"net/http": serveTheirs, "ours": serveMounted} {
		t.Run(name, func(t *testing.T) {
			answer, err := (&http.Client{Timeout: patience}).Get("http://" + serve(t, proxy))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			in := bufio.NewReader(answer.Body)
			for i := range 3 {
				if line, err := in.ReadString('\n'); line != fmt.Sprintf("line %d\n", i) {
					t.Fatalf("%q %v", line, err)
				}
				goOn <- true
			}
			if _, err := in.ReadByte(); err != io.EOF {
				t.Error(err)
			}
		})
	}
}

// TestTLS: what a handler sees of a client with TLS.
func TestTLS(t *testing.T) {
	own := selfsigned.New(t)
	guest := own.Sign(t, "guest")
	config := &tls.Config{Certificates: []tls.Certificate{own.TLS}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: own.Pool, NextProtos: []string{"http/1.1"}}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := r.TLS
		if s == nil {
			_, _ = io.WriteString(w, "no TLS")
			return
		}
		fmt.Fprintln(w, s.Version, s.HandshakeComplete, s.DidResume, s.CipherSuite, s.NegotiatedProtocol, s.ServerName, names(s.PeerCertificates), len(s.VerifiedChains))
		fmt.Fprintf(w, "%q %q %q %v\n", r.URL.Scheme, r.URL.Host, r.Host, r.Context().Value(http.LocalAddrContextKey) != nil)
	})
	for _, client := range []*tls.Config{{RootCAs: own.Pool, ServerName: "localhost"}, {RootCAs: own.Pool, ServerName: "localhost", Certificates: []tls.Certificate{guest.TLS}}, {RootCAs: own.Pool, ServerName: "localhost", MaxVersion: tls.VersionTLS12}} {
		var answers [2]string
		for i, at := range []string{serveTheirsTLS(t, h, config), serveOursTLS(t, h, config)} {
			c := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: client.Clone(), DisableKeepAlives: true}}
			answer, err := c.Get("https://" + at)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answers[i] = strings.ReplaceAll(string(body), at, "HOST"); err != nil || len(body) == 0 {
				t.Error(err, answer.Status)
			}
		}
		if answers[0] != answers[1] {
			t.Errorf("net/http:\n%s\nours:\n%s", answers[0], answers[1])
		}
	}
}

func names(certificates []*x509.Certificate) (names []string) {
	for _, c := range certificates {
		names = append(names, c.Subject.CommonName)
	}
	return names
}

// TestAnswersTakeTheirTime: a deadline for writing ends a Write for a client that does
// not read.
func TestAnswersTakeTheirTime(t *testing.T) {
	failed := make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		piece := make([]byte, 1<<20)
		for {
			if _, err := w.Write(piece); err != nil {
				failed <- err
				return
			}
		}
	})
	for name, serve := range map[string]func(*testing.T, http.Handler) string{"net/http": serveTheirs, "ours": serveMounted} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", serve(t, h))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, get)
			select {
			case err := <-failed:
				if e, ok := err.(net.Error); !ok || !e.Timeout() {
					t.Errorf("%T %v", err, err)
				}
			case <-time.After(patience):
				t.Error("the Write does not end")
			}
		})
	}
}
