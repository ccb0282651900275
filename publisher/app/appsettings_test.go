package app_test

import (
	"context"
	"testing"

	"zamqp/publisher"
)

// shop is what a handler package might ask for.
type shop struct {
	Mode  string `key:"mode" oneof:"live test"`
	Tries int    `key:"tries" min:"1" max:"10"`
	Mail  struct {
		From string `key:"from"`
	} `key:"mail"`
	own int
}

// TestServeGivesSettingsToHandlers: before a handler or a hook runs.
func TestServeGivesSettingsToHandlers(t *testing.T) {
	t.Chdir(t.TempDir())
	into := &shop{Mode: "test", Tries: 3, own: 7}
	r := publisher.NewRegistry()
	r.Settings("shop", into)
	ctx, stop := context.WithCancel(t.Context())
	stop() // it drains at once
	code, _, stderr := runServer(t, ctx, r, "serve", "-o", "http.listen=", "-o", "broker.listen=", "-o", "server.data_dir=", "-o", "app.shop.tries=9", "-o", "app.shop.mail.from=x")
	if code != 0 || into.Tries != 9 || into.Mail.From != "x" || into.Mode != "test" || into.own != 7 {
		t.Errorf("exit %d, %s\n%+v", code, stderr, *into)
	}
}
