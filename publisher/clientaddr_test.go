package publisher_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"zamqp/publisher"
)

// TestClientAddr: the server believes a trusted proxy about the client's address, and not the
// client itself.
func TestClientAddr(t *testing.T) {
	proxy, unix := tcp("10.1.1.1"), from{&net.UnixAddr{Net: "unix"}}
	const nobody = "invalid IP"
	for _, row := range []struct {
		name     string
		peer     from
		standard bool
		fields   string // with | between the lines
		want     string
	}{
		{"no proxy", tcp("192.0.2.9"), false, "", "192.0.2.9"},
		{"IPv4 in IPv6", tcp("::ffff:192.0.2.9"), false, "", "192.0.2.9"},
		{"an untrusted peer", tcp("192.0.2.9"), false, "X-Forwarded-For: 198.51.100.1|Forwarded: for=198.51.100.1", "192.0.2.9"},
		{"a trusted one", proxy, false, "X-Forwarded-For: 198.51.100.1", "198.51.100.1"},
		{"with a port", proxy, false, "X-Forwarded-For: [2001:db8::9]:4711", "2001:db8::9"},
		{"a forger before it", proxy, false, "X-Forwarded-For: 10.9.9.9, 203.0.113.5, 198.51.100.1", "198.51.100.1"},
		{"two proxies", proxy, false, "X-Forwarded-For: 203.0.113.5, 198.51.100.1|X-Forwarded-For: 10.2.2.2", "198.51.100.1"},
		{"a client inside", proxy, false, "X-Forwarded-For: 10.3.3.3, 10.2.2.2", "10.3.3.3"},
		{"the proxy itself asks", proxy, false, "", "10.1.1.1"},
		{"it hides the client", proxy, false, "X-Forwarded-For: unknown", nobody},
		{"the field of the other kind", proxy, false, "Forwarded: for=198.51.100.1", "10.1.1.1"},
		{"a unix socket", unix, false, "", nobody},
		{"a proxy on a unix socket", unix, false, "X-Forwarded-For: 198.51.100.1", "198.51.100.1"},
		{"standard", proxy, true, `Forwarded: for="[2001:db8::9]:4711";proto=https`, "2001:db8::9"},
		{"standard, two hops", proxy, true, `Forwarded: for=203.0.113.5, for=198.51.100.1, for=10.2.2.2`, "198.51.100.1"},
		{"standard, hidden", proxy, true, `Forwarded: for=_hidden`, nobody},
		{"standard, malformed", proxy, true, `Forwarded: for="198.51.100.1`, nobody},
	} {
		t.Run(row.name, func(t *testing.T) {
			proxies, err := publisher.ParseProxies([]string{"10.0.0.0/8", "unix"}, row.standard)
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t)
			b.reg.Handle("GET /own", func(r *publisher.Request) error { return r.Text(200, r.ClientAddr().String()) })
			b.reg.Handle("GET /net", publisher.Inline(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(publisher.FromContext(r.Context()).ClientAddr().String()))
			})))
			b.start(publisher.Options{Proxies: proxies})
			var fields []publisher.Field
			for line := range strings.SplitSeq(row.fields, "|") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					fields = append(fields, publisher.Field{Name: []byte(name), Value: []byte(value)})
				}
			}
			for i, path := range []string{"/own", "/net", "/own"} {
				r := b.server.NewCall()
				r.SetHTTP([]byte("GET"), []byte(path), []byte("own.example"), fields, row.peer)
				if i == 2 { // a request that is used again forgets the earlier client
					r.SetHTTP([]byte("GET"), []byte(path), []byte("own.example"), nil, tcp("192.0.2.77"))
				}
				b.server.Dispatch(r, b)
			}
			for i, want := range []string{row.want, row.want, "192.0.2.77"} {
				if got := b.done[i].body; got != want {
					t.Errorf("%d: %s, want %s", i, got, want)
				}
			}
		})
	}
}
