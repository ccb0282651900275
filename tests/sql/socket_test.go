package sql_test

import (
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// TestSocket: each commit of a WebSocket ends a transaction, and the next message begins another
// one. A function that was given to Go takes part in whichever is open.
func TestSocket(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		g := registry()
		g.WebSocket("GET /socket", func(ws *publisher.Socket) error {
			ws.Go(func() error { return e.add(ws.Request, "child") })
			for {
				_, p, err := ws.Read()
				if err != nil {
					return err
				}
				if err := e.add(ws.Request, string(p)); err != nil {
					return err
				}
				answer := "done"
				if err := ws.Commit(); err != nil {
					answer = err.Error()
				}
				if err := ws.WriteText(answer); err != nil {
					return err
				}
			}
		})
		s := publishertest.New(t, g)
		ws := s.Dial("/socket")
		for _, id := range []string{"a", "b", "c"} {
			ws.Send(id)
			if got := string(ws.Next().Data); got != "done" {
				t.Errorf("%s: %s", id, got)
			}
		}
		ws.Close(1000, "")
		e.both(t, s, "a b c child", "child a b c")
	})
}
