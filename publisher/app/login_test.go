package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"zamqp/tests/kit/selfsigned"
)

// TestLoginErrors: the error for a wrong URL says which part of it is wrong, without internal
// words.
func TestLoginErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	plain, _ := serveBroker(t, "")
	own := selfsigned.New(t)
	secure, _ := serveBroker(t, "", "broker.tls_cert="+own.Cert, "broker.tls_key="+own.Key)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for _, row := range []struct{ name, url, want string }{
		{"wrong password", strings.Replace(plain, "guest:guest", "guest:wrong", 1),
			`as user "guest" to vhost "/": in the login: amqp: connection: 403 ACCESS_REFUSED - `},
		{"wrong vhost", plain + "nowhere",
			`to vhost "nowhere": in the opening of the vhost: amqp: connection: 530 NOT_ALLOWED - vhost nowhere not found (connection.open): check that the vhost exists`},
		{"plain on the TLS port", strings.Replace(secure, "amqps", "amqp", 1), "check that host and port are those of an AMQP 0-9-1 broker, whether it wants TLS (amqps)"},
		{"TLS on the plain port", strings.Replace(plain, "amqp", "amqps", 1), "this port speaks no TLS: use the broker's TLS port (5671 as a rule), or amqp://"},
		{"TLS on a web server's", strings.Replace(web.URL, "http", "amqps", 1), "this port speaks no TLS"},
	} {
		code, _, stderr := run(t, "publish", "--url", row.url, "--queue", "q", "x")
		if code != 1 || !strings.Contains(stderr, row.want) || strings.Contains(stderr, "await") {
			t.Errorf("%s: exit %d: %s\nwant %s", row.name, code, stderr, row.want)
		}
		t.Log(row.name+":", stderr)
	}
	// A web server that waits for the end of a line that never comes.
	code, _, stderr := run(t, "publish", "--url", strings.Replace(web.URL, "http", "amqp", 1), "--timeout", "500ms", "--queue", "q", "x")
	if code != 1 || !strings.Contains(stderr, "no answer within 500ms") || !strings.Contains(stderr, "check that host and port") {
		t.Errorf("a web server: exit %d: %s", code, stderr)
	}
	t.Log(stderr)
}
