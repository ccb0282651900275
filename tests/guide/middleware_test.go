package guide_test

import (
	"errors"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

var tokens = map[string]string{"7Fjfp0ZBr1KtDRbnfVdmIw": "alice"}

var errStock = errors.New("nothing is in stock")

func tenant(next publisher.Handler) publisher.Handler {
	return func(r *publisher.Request) error {
		if r.Header("X-Tenant") == "" {
			return publisher.Errorf(400, "X-Tenant is missing") // the handler does not run
		}
		err := next(r)
		if errors.Is(err, errStock) {
			return publisher.Errorf(409, "nothing is in stock") // in place of the handler's error
		}
		r.SetHeader("X-Tenant", r.Header("X-Tenant")) // a field of the answer, or of the reply
		return err
	}
}

func userOfToken(r *publisher.Request, token string) (user string, err error) {
	for known, name := range tokens {
		if publisher.SecretsEqual(token, known) {
			user = name
		}
	}
	return user, nil // "" is 401
}

func useMiddleware(publisher *publisher.Registry) {
	publisher.Use(tenant, "/shop/", "consumer purchases")
}

func protectShop() {
	publisher.Use(publisher.Authenticate(publisher.Auth{Bearer: userOfToken}), "/shop/", "consumer purchases")
	publisher.Use(publisher.MaxInFlight(4), "POST /shop/reports", "consumer purchases")
}

func pages() {
	publisher.OnStatus(404, notFound)
	publisher.OnStatus(publisher.Status5xx, sorry)
}

func notFound(r *publisher.Request, failure *publisher.StatusError) error {
	return r.Bytes(404, "text/html; charset=utf-8", []byte("<h1>There is no such page</h1>"))
}

func sorry(r *publisher.Request, failure *publisher.StatusError) error {
	return r.Text(failure.Status, "sorry")
}

// TestMiddleware runs what the page shows.
func TestMiddleware(t *testing.T) {
	before := publisher.Default
	defer func() { publisher.Default = before }()
	g := publisher.NewRegistry()
	publisher.Default = g
	h := func(r *publisher.Request) error {
		if r.Header("Empty") != "" {
			return errStock
		}
		return r.Reply(200, r.User())
	}
	g.Handle("POST /shop/reports", h)
	g.Consume("purchases", publisher.Consumer{}, h)
	protectShop()
	useMiddleware(g)
	pages()
	s := publishertest.New(t, g)
	const token = "Authorization: Bearer 7Fjfp0ZBr1KtDRbnfVdmIw"
	for want, fields := range map[int][]string{
		401: {"X-Tenant: acme"}, 400: {token}, 200: {token, "X-Tenant: acme"}, 409: {token, "X-Tenant: acme", "Empty: yes"},
	} {
		if got := s.Request("POST", "/shop/reports", "", "", fields...); got.Status != want || want == 200 && (got.Body != "alice" || got.Header.Get("X-Tenant") != "acme") {
			t.Errorf("%v: %d %q, want %d", fields, got.Status, got.Body, want)
		}
	}
	if got := s.Request("GET", "/nowhere", "", ""); got.Status != 404 || got.Body != "<h1>There is no such page</h1>" {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	headers := publisher.Table{"Authorization": "Bearer 7Fjfp0ZBr1KtDRbnfVdmIw", "x-tenant": "acme"}
	if got := s.Deliver("purchases", publisher.Publishing{Headers: headers, ReplyTo: "q"}); got.Settlement != publisher.SettleAck || string(got.Reply.Body) != "alice" {
		t.Errorf("%+v", got)
	}
}
