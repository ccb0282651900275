package shop

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"

	"zamqp/publisher"
)

//go:embed page.html
var pageHTML []byte

// policy lets the browser run only what is in the page, and ask only this server.
var policy = "default-src 'none'; connect-src 'self'; script-src " + hashOf("script") + "; style-src " + hashOf("style")

// hashOf is what a policy says of the text of an element.
func hashOf(element string) string {
	_, rest, _ := bytes.Cut(pageHTML, []byte("<"+element+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// page shows the orders of the customer. Its script asks for the list, and then follows the
// events.
func page(r *publisher.Request) error {
	r.SetHeader("Content-Security-Policy", policy)
	return r.Bytes(200, "text/html; charset=utf-8", pageHTML)
}

// events sends what happens: to the customer's own orders, and the totals of the shop.
func events(r *publisher.Request) error {
	user := r.User()
	return r.Events(func(e *publisher.Events) error {
		return e.FollowOnly("shop", func(event *publisher.Event) bool {
			if event.Name != "order" {
				return true
			}
			var o struct{ Customer string }
			data, _ := event.Data.([]byte)
			return json.Unmarshal(data, &o) == nil && o.Customer == user
		})
	})
}

// totals counts the orders of each state, and tells all pages.
func totals(r *publisher.Request) error {
	tx, err := r.SQL(database, publisher.SQLReadOnly())
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(r.Context(), `SELECT state, count(*) FROM orders GROUP BY state`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	count := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return err
		}
		count[state] = n
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return r.Broadcast("shop", publisher.Event{Name: "totals", Data: count})
}
