package publishertest_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

var auth = publisher.Auth{
	Realm: "shop",
	Basic: func(r *publisher.Request, user, password string) (string, error) {
		ok := false
		err := r.Offload(func() error { ok = publisher.SecretsEqual(password, "pass:word"); return nil })
		if user == "down" {
			return "", errors.New("the database is down")
		}
		if !ok {
			return "", err
		}
		return user, err
	},
	Bearer: func(_ *publisher.Request, token string) (string, error) {
		if token == "a.B-_~+/==" {
			return "token's user", nil
		}
		return "", nil
	},
	UserID: func(_ *publisher.Request, id string) (string, error) { return id, nil },
	CookieAuth: func(_ *publisher.Request, value string) (string, error) {
		return strings.TrimPrefix(value, "cookie of "), nil
	},
}

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

func TestAuthenticate(t *testing.T) {
	g := publisher.NewRegistry()
	whoami := func(r *publisher.Request) error { return r.Reply(200, r.User()) }
	g.Handle("GET /", whoami)
	g.Handle("GET /mounted", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprint(w, publisher.FromContext(req.Context()).User())
	})))
	g.UseHTTP(func(next http.Handler) http.Handler { return next }, "/mounted") // so that the request is made before Authenticate runs
	g.Consume("c", publisher.Consumer{}, whoami)
	g.Consume("routed", publisher.Consumer{Route: "GET /mounted"}, nil)
	g.Every("tick", publisher.Clock{Cron: "@daily"}, whoami)
	g.Use(publisher.Authenticate(auth))
	s := publishertest.New(t, g)
	const challenges = `[Bearer realm="shop" Basic realm="shop", charset="UTF-8"]`
	const invalidToken = `[Bearer realm="shop", error="invalid_token" Basic realm="shop", charset="UTF-8"]`
	const malformed = `[Bearer realm="shop", error="invalid_request"]`
	for _, c := range []struct {
		authorization string
		status        int
		user          string
		challenge     string
	}{
		{"", 401, "", challenges},
		{basic("Björn:pass:word"), 200, "Björn", "[]"},
		{strings.Replace(basic("bob:pass:word"), "Basic", "bAsIc  ", 1), 200, "bob", "[]"},
		{basic("bob:wrong"), 401, "", challenges},
		{basic("bob"), 401, "", challenges},
		{basic("bob\n:pass:word"), 401, "", challenges},
		{basic("b\xf6b:pass:word"), 401, "", challenges},
		{strings.TrimRight(basic("bob1:pass:word"), "="), 401, "", challenges},
		{basic("down:pass:word"), 500, "", "[]"},
		{"Basic", 401, "", challenges},
		{"Bearer a.B-_~+/==", 200, "token's user", "[]"},
		{"BEARER a.B-_~+/==", 200, "token's user", "[]"},
		{"Bearer other", 401, "", invalidToken},
		{"Bearer", 400, "", malformed},
		{"Bearer a b", 400, "", malformed},
		{"Bearer a=b", 400, "", malformed},
		{"Bearer =", 400, "", malformed},
		{"Bearer a.B-_~+/==,", 400, "", malformed},
		{"Bearer\ta", 401, "", challenges},
		{"Digest x", 401, "", challenges},
		{"Bearer " + strings.Repeat("a", 1<<20), 400, "", malformed},
	} {
		for _, path := range []string{"/", "/mounted"} {
			var fields []string
			if c.authorization != "" {
				fields = []string{"Authorization: " + c.authorization}
			}
			got := s.Request("GET", path, "", "", append(fields, "User-Id: eve", "x-cookie-auth: cookie of eve")...)
			if got.Status != c.status || c.status == 200 && got.Body != c.user || fmt.Sprint(got.Header["Www-Authenticate"]) != c.challenge {
				t.Errorf("%s with %.40q: %d %q %v, want %d %s", path, c.authorization, got.Status, got.Body, got.Header["Www-Authenticate"], c.status, c.challenge)
			}
		}
	}
	if got := s.Request("GET", "/", "", "", "Authorization: Bearer a.B-_~+/==", "authorization: "+basic("bob:pass:word")); got.Status != 400 {
		t.Errorf("two fields: %d %q", got.Status, got.Body)
	}
	if got := s.Tick("tick"); got.Err != nil {
		t.Errorf("a clock: %v", got.Err)
	}
	for name, c := range map[string]struct {
		props      publisher.Publishing
		user       string
		settlement publisher.Settlement
	}{
		"none":    {publisher.Publishing{}, "", publisher.SettleDeadLetter},
		"user id": {publisher.Publishing{UserId: "alice"}, "alice", publisher.SettleAck},
		"cookie":  {publisher.Publishing{UserId: "alice", Headers: publisher.Table{"x-cookie-auth": "cookie of carol"}}, "carol", publisher.SettleAck},
		"bearer":  {publisher.Publishing{UserId: "alice", Headers: publisher.Table{"authorization": "Bearer a.B-_~+/=="}}, "token's user", publisher.SettleAck},
		"wrong":   {publisher.Publishing{UserId: "alice", Headers: publisher.Table{"Authorization": "Bearer x"}}, "", publisher.SettleDeadLetter},
		"forged":  {publisher.Publishing{Headers: publisher.Table{"User-Id": "eve", publisher.TraceUserID: "eve"}}, "", publisher.SettleDeadLetter},
		"down":    {publisher.Publishing{Headers: publisher.Table{"Authorization": basic("down:x")}}, "", publisher.SettleRetry},
	} {
		for _, consumer := range []string{"c", "routed"} {
			c.props.ReplyTo = "q"
			got := s.Deliver(consumer, c.props)
			if got.Settlement != c.settlement || c.settlement == publisher.SettleAck && string(got.Reply.Body) != c.user {
				t.Errorf("%s to %s: %+v %v", name, consumer, got.Outcome, got.Reply)
			}
			if got.Settlement == publisher.SettleDeadLetter && (got.Reason != publisher.ReasonPermanent || got.Reply.Headers[publisher.StatusHeader] != int32(401)) {
				t.Errorf("%s to %s: %s, %v", name, consumer, got.Reason, got.Reply)
			}
		}
	}
}

func TestAuthenticateOptionally(t *testing.T) {
	g := publisher.NewRegistry()
	g.Handle("GET /", func(r *publisher.Request) error { return r.Reply(200, "user "+r.User()) })
	g.Use(publisher.Authenticate(publisher.Auth{Bearer: auth.Bearer, Optional: true}))
	s := publishertest.New(t, g)
	for authorization, want := range map[string]int{"": 200, "Bearer a.B-_~+/==": 200, "Bearer x": 401, "Basic x": 401} {
		var fields []string
		if authorization != "" {
			fields = []string{"Authorization: " + authorization}
		}
		if got := s.Request("GET", "/", "", "", fields...); got.Status != want {
			t.Errorf("%q: %d %q, want %d", authorization, got.Status, got.Body, want)
		}
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	for want, a := range map[string]publisher.Auth{"nobody could pass": {}, "is not of printable ASCII": {Realm: "a\"\r\nX: y", Bearer: auth.Bearer}} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, want) {
					t.Errorf("panic %s, want %s", p, want)
				}
			}()
			publisher.Authenticate(a)
		}()
	}
}
