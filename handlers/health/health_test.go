package health_test

import (
	"strings"
	"testing"

	_ "zamqp/handlers/health"
	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// parts reports parts whose words come from elsewhere.
type parts []publisher.Status

func (p *parts) Report() []publisher.Status { return *p }

func TestHealth(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	if got := s.Request("GET", "/livez", "", ""); got.Status != 200 || got.Body != "ok\n" {
		t.Errorf("%+v", got)
	}
	want := `{"ready":true,"started":true,"draining":false,"calls":1,"parts":null}`
	for _, path := range []string{"/readyz", "/startupz"} {
		if got := s.Request("GET", path, "", ""); got.Status != 200 || got.Body != want {
			t.Errorf("%+v", got)
		}
	}
	if got := s.Request("GET", "/readyz?verbose", "", ""); got.Status != 200 || got.Body != "ready\n" || !strings.HasPrefix(got.ContentType, "text/plain") {
		t.Errorf("%+v", got)
	}
	p := &parts{{Kind: "clock", Name: "c", Ready: true, State: "idle"}, {Kind: "connection", Name: "x", State: "connecting", Detail: "refused:\n[+]forged"}}
	s.Server().AddReporter(p)
	want = "[+]clock c: idle\n[-]connection x: connecting: refused: [+]forged\nnot ready\n"
	if got := s.Request("GET", "/readyz?verbose", "", ""); got.Status != 503 || got.Body != want {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/startupz?verbose", "", ""); got.Status != 200 || !strings.HasSuffix(got.Body, "\nstarted\n") {
		t.Errorf("it has been ready: %+v", got)
	}
	if got := s.Request("GET", "/readyz", "", ""); got.Status != 503 || !strings.HasPrefix(got.Body, `{"ready":false,"started":true,`) {
		t.Errorf("%+v", got)
	}
}
