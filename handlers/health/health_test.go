package health_test

import (
	"testing"

	_ "zamqp/handlers/health"
	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

func TestHealth(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	if got := s.Request("GET", "/livez", "", ""); got.Status != 200 || got.Body != "ok\n" {
		t.Errorf("%+v", got)
	}
	want := `{"ready":true,"draining":false,"calls":1,"parts":null}`
	if got := s.Request("GET", "/readyz", "", ""); got.Status != 200 || got.Body != want {
		t.Errorf("%+v", got)
	}
}
