package postgres_test

import (
	"net"
	"net/url"
	"testing"

	"zamqp/tests/kit/postgres"
)

// reachable reports whether something listens at the address of a server.
func reachable(t *testing.T, server string) bool {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// TestTwoServers: servers have ports of their own, end when they are told, and come back at the
// same place.
func TestTwoServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	shared, own := postgres.Start(t), postgres.New(t)
	if shared == own.URL {
		t.Fatal("two servers on one port")
	}
	before := own.URL
	own.Kill(t)
	if reachable(t, own.URL) {
		t.Error("a killed server listens")
	}
	own.Restart(t)
	own.Stop(t)
	own.Restart(t)
	if own.URL != before || !reachable(t, own.URL) || !reachable(t, shared) {
		t.Errorf("%s, then %s", before, own.URL)
	}
}
