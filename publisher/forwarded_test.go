package publisher_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"zamqp/publisher"
)

// from is a peer.
type from struct{ net.Addr }

func (f from) RemoteAddr() net.Addr { return f.Addr }

func tcp(ip string) from { return from{&net.TCPAddr{IP: net.ParseIP(ip), Port: 1234}} }

// TestForwarded: the server believes a trusted proxy about scheme, host and prefix, and nobody
// else.
func TestForwarded(t *testing.T) {
	proxy, unix := tcp("10.1.1.1"), from{&net.UnixAddr{Net: "unix"}}
	for _, row := range []struct {
		name     string
		peer     from
		standard bool
		fields   string // with | between the lines
		want     string
	}{
		{"no field", proxy, false, "", "http://own.example/x"},
		{"all fields", proxy, false, "X-Forwarded-For: 192.0.2.1|X-Forwarded-Proto: https|X-Forwarded-Host: shop.example:8443|X-Forwarded-Prefix: /eu/", "https://shop.example:8443/eu/x"},
		{"the scheme alone", proxy, false, "x-forwarded-proto: HTTPS", "https://own.example/x"},
		{"a unix socket", unix, false, "X-Forwarded-Proto: https", "https://own.example/x"},
		{"IPv4 in IPv6", tcp("::ffff:10.1.1.1"), false, "X-Forwarded-Proto: https", "https://own.example/x"},
		{"IPv6", tcp("2001:db8::1"), false, "X-Forwarded-Proto: https", "https://own.example/x"},

		// Spoofing.
		{"an untrusted peer", tcp("192.0.2.9"), false, "X-Forwarded-Proto: https|X-Forwarded-Host: evil.example|X-Forwarded-Prefix: /evil|Forwarded: host=evil.example", "http://own.example/x"},
		{"it claims to be behind a trusted one", tcp("192.0.2.9"), false, "X-Forwarded-For: 10.1.1.1|X-Forwarded-Host: evil.example", "http://own.example/x"},
		{"values before those of the proxy", proxy, false, "X-Forwarded-For: 10.1.1.1, 192.0.2.1|X-Forwarded-Proto: http, https|X-Forwarded-Host: evil.example, shop.example", "https://shop.example/x"},
		{"the same in lines of their own", proxy, false, "X-Forwarded-Host: evil.example|X-Forwarded-Host: shop.example", "http://shop.example/x"},
		{"the field of the other kind", proxy, false, "Forwarded: host=evil.example;proto=https", "http://own.example/x"},
		{"the fields of the other kind", proxy, true, "X-Forwarded-Host: evil.example|X-Forwarded-Proto: https", "http://own.example/x"},

		// Several hops.
		{"two trusted", proxy, false, "X-Forwarded-For: 192.0.2.1, 10.2.2.2|X-Forwarded-Host: shop.example, inner.example|X-Forwarded-Proto: https, http", "https://shop.example/x"},
		{"two trusted and a forger", proxy, false, "X-Forwarded-For: 10.9.9.9, 192.0.2.1, 10.2.2.2|X-Forwarded-Host: evil.example, shop.example, inner.example", "http://shop.example/x"},
		{"the inner one does not add", proxy, false, "X-Forwarded-For: 192.0.2.1, 10.2.2.2|X-Forwarded-Host: shop.example", "http://shop.example/x"},
		{"the outer one is not trusted", proxy, false, "X-Forwarded-For: 192.0.2.1, 198.51.100.1|X-Forwarded-Host: evil.example, shop.example", "http://shop.example/x"},
		{"a hop that is no address", proxy, false, "X-Forwarded-For: 10.2.2.2, unknown|X-Forwarded-Host: evil.example, shop.example", "http://shop.example/x"},
		{"hops with ports", proxy, false, "X-Forwarded-For: 192.0.2.1:99, 10.2.2.2:80|X-Forwarded-Host: shop.example, inner.example", "http://shop.example/x"},

		// Malformed.
		{"a scheme that is none", proxy, false, "X-Forwarded-Proto: javascript|X-Forwarded-Host: shop.example", "http://shop.example/x"},
		{"a host that is none", proxy, false, "X-Forwarded-Proto: https|X-Forwarded-Host: a/b@c", "https://own.example/x"},
		{"a prefix that is another host", proxy, false, "X-Forwarded-Prefix: //evil.example", "http://own.example/x"},
		{"a prefix without a slash", proxy, false, "X-Forwarded-Prefix: .evil.example", "http://own.example/x"},
		{"a prefix with dots", proxy, false, "X-Forwarded-Prefix: /a/../b", "http://own.example/x"},
		{"only commas", proxy, false, "X-Forwarded-Host: , ,|X-Forwarded-For: ,", "http://own.example/x"},

		// RFC 7239.
		{"standard", proxy, true, `Forwarded: for=192.0.2.1;proto=https;by=10.1.1.1;host=shop.example`, "https://shop.example/x"},
		{"standard, quoted", proxy, true, `Forwarded: For="[2001:db8::9]:4711" ; Proto=https; host="shop.example:8443"`, "https://shop.example:8443/x"},
		{"standard, a comma within quotes", proxy, true, `Forwarded: for="a,b";host=evil.example, for=192.0.2.1;host=shop.example`, "http://shop.example/x"},
		{"standard, two hops", proxy, true, `Forwarded: host=evil.example|Forwarded: for=192.0.2.1;host=shop.example;proto=https, for="10.2.2.2:80";host=inner.example;proto=http`, "https://shop.example/x"},
		{"standard, the first hop says less", proxy, true, `Forwarded: for=192.0.2.1;proto=https, for=10.2.2.2;host=inner.example;proto=http`, "https://inner.example/x"},
		{"standard, hidden", proxy, true, `Forwarded: for=10.2.2.2;host=evil.example, for=_hidden;host=shop.example`, "http://shop.example/x"},
		{"standard, untrusted", tcp("192.0.2.9"), true, `Forwarded: host=evil.example;proto=https`, "http://own.example/x"},
		{"standard, malformed", proxy, true, `Forwarded: host="shop.example;proto=https`, "http://own.example/x"},
		{"standard, no pair", proxy, true, `Forwarded: shop.example`, "http://own.example/x"},
		{"standard, a bad host", proxy, true, `Forwarded: proto=https;host="a b"`, "http://own.example/x"},
		{"standard, escaped", proxy, true, `Forwarded: host="sh\op.example"`, "http://shop.example/x"},
		{"standard, an end within an escape", proxy, true, `Forwarded: host="a\"`, "http://own.example/x"},
	} {
		t.Run(row.name, func(t *testing.T) {
			proxies, err := publisher.ParseProxies([]string{"10.0.0.0/8", "2001:db8::1", "unix"}, row.standard)
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t)
			b.reg.Handle("GET own.example/own", func(r *publisher.Request) error { return r.Text(200, r.URL("/x")+" "+r.URL("x")) })
			b.reg.Handle("GET /own", func(r *publisher.Request) error { return r.Text(200, r.URL("/x")+" "+r.URL("x")) })
			b.reg.Handle("GET /net", publisher.Inline(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s %s://%s %s", r.Host, r.URL.Scheme, r.URL.Host, r.URL.Path)
			})))
			b.start(publisher.Options{Proxies: proxies})
			var fields []publisher.Field
			for line := range strings.SplitSeq(row.fields, "|") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					fields = append(fields, publisher.Field{Name: []byte(name), Value: []byte(value)})
				}
			}
			for _, path := range []string{"/own", "/net"} {
				r := b.server.NewCall()
				r.SetHTTP([]byte("GET"), []byte(path), []byte("own.example"), fields, row.peer)
				b.server.Dispatch(r, b)
			}
			if got := b.done[0].body; got != row.want+" "+row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
			scheme, rest, _ := strings.Cut(row.want, "://")
			host, _, _ := strings.Cut(rest, "/")
			seen := fmt.Sprintf("%s %s://%s /net", host, scheme, host)
			if scheme == "http" && !strings.Contains(strings.ToLower(row.fields), "proto") || row.want == "http://own.example/x" || strings.Contains(row.fields, "javascript") {
				seen = host + " :// /net" // the scheme is not known: as under net/http
			}
			if got := b.done[1].body; got != seen {
				t.Errorf("net/http: %s, want %s", got, seen)
			}
		})
	}
}

// TestBaseURL: a call without a client has the URL of the configuration, also for
// handlers of net/http.
func TestBaseURL(t *testing.T) {
	base, err := publisher.ParseBaseURL("https://shop.example:8443/eu/")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.reg.Handle("GET /own", func(r *publisher.Request) error {
		return publisher.Errorf(400, "%s %s %s", r.URL("/x?y=1"), r.Host(), r.Scheme())
	})
	b.reg.Handle("GET other.example/own", func(r *publisher.Request) error { return publisher.Errorf(400, "%s", r.URL("/x")) })
	b.reg.Handle("GET /net", publisher.Inline(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, "%s %s %s %s", r.Host, r.URL, r.RequestURI, publisher.FromContext(r.Context()).URL("/x"))
	})))
	b.reg.Consume("own", publisher.Consumer{Route: "GET /own"}, nil)
	b.reg.Consume("other", publisher.Consumer{Route: "GET other.example/own"}, nil)
	b.reg.Consume("net", publisher.Consumer{Route: "GET /net?a=b"}, nil)
	b.reg.Consume("plain", publisher.Consumer{}, func(r *publisher.Request) error { return publisher.Errorf(400, "%s", r.URL("/x")) })
	b.start(publisher.Options{BaseURL: base})
	for consumer, want := range map[string]string{
		"own":   "https://shop.example:8443/eu/x?y=1 shop.example:8443 https",
		"other": "https://other.example/eu/x",
		"net":   "shop.example:8443 https://shop.example:8443/net?a=b /net?a=b https://shop.example:8443/eu/x",
		"plain": "https://shop.example:8443/eu/x",
	} {
		r := b.server.NewCall()
		if err := r.SetMessage(&publisher.Message{Consumer: consumer, Properties: []byte{0, 0}}); err != nil {
			t.Fatal(err)
		}
		b.done = nil
		b.server.Dispatch(r, b)
		if got := fmt.Sprint(b.done[0].Err); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", consumer, got, want)
		}
	}
	for text, want := range map[string]string{"shop.example": "HOST", "ftp://a": "HOST", "https://": "HOST", "https://u:p@a": "password", "https://a?b": "query", "https://a#b": "fragment", "https://a/b//c": "clean"} {
		if _, err := publisher.ParseBaseURL(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestNoBaseURL: without a base URL a message has a path alone, which is logged once.
func TestNoBaseURL(t *testing.T) {
	b := newBench(t)
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		if got := r.URL("/x"); got != "/x" {
			t.Errorf("%s", got)
		}
		return nil
	})
	b.start(publisher.Options{})
	for range 2 {
		r := b.server.NewCall()
		if err := r.SetMessage(&publisher.Message{Consumer: "c", Properties: []byte{0, 0}}); err != nil {
			t.Fatal(err)
		}
		b.server.Dispatch(r, b)
	}
	if n := strings.Count(b.log.String(), "set site.base_url"); n != 1 {
		t.Errorf("logged %d times: %s", n, b.log.String())
	}
}
