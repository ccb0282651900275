package publisher_test

import (
	"regexp"
	"strings"
	"testing"

	"zamqp/publisher"
)

func TestLinesOfACall(t *testing.T) {
	b := newBench(t)
	say := func(r *publisher.Request) error {
		r.Log().Info().Str("item", "book").Msg("sold")
		r.Slog().Warn("few are left", "count", 3)
		return nil
	}
	b.reg.Handle("GET /sell", say)
	b.reg.Consume("sales", publisher.Consumer{}, say)
	b.start(publisher.Options{})

	r := b.server.NewCall()
	r.SetHTTP([]byte("GET"), []byte("/sell"), []byte("localhost"), []publisher.Field{{Name: []byte("x-request-id"), Value: []byte("a\x1b\xff" + strings.Repeat("x", 200))}}, nil)
	b.server.Dispatch(r, b)
	id := `"request_id":"a\u001b?` + strings.Repeat("x", 125) + `"`
	b.lines(`{"level":"info","handler":"GET /sell",`+id+`,"item":"book","message":"sold"}`,
		`{"level":"warn","handler":"GET /sell",`+id+`,"count":3,"message":"few are left"}`)

	b.log.Reset()
	b.message("sales", 2, publisher.Publishing{MessageId: "m1"})
	b.lines(`{"level":"info","handler":"consumer sales","message_id":"m1","attempt":2,"item":"book","message":"sold"}`,
		`{"level":"warn","handler":"consumer sales","message_id":"m1","attempt":2,"count":3,"message":"few are left"}`)
}

// ownTime is what slog adds to a log without times; the server's has them.
var ownTime = regexp.MustCompile(`"time":"[^"]*",`)

func (b *bench) lines(want ...string) {
	b.t.Helper()
	got := strings.TrimSpace(ownTime.ReplaceAllString(b.log.String(), ""))
	if got != strings.Join(want, "\n") {
		b.t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
