package crash_test

import (
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/wait"
)

// expected are the ids that must have an effect: of each order that has a row, and of each message
// that was confirmed.
func (r *rig) expected() map[string]bool {
	r.Helper()
	want := map[string]bool{}
	for id := range r.column("SELECT id FROM orders") {
		want[id] = true
	}
	for id, confirmed := range r.sent {
		if confirmed {
			want[id] = true
		}
	}
	return want
}

// compare compares what was said, the rows, and the messages.
func (r *rig) compare() {
	r.Helper()
	rows, effects := r.column("SELECT id FROM orders"), r.column("SELECT id FROM effects")
	for id, told := range r.orders {
		if told && rows[id] == 0 {
			r.Errorf("order %s was answered for, and there is no row", id)
		}
	}
	for id := range r.expected() {
		if effects[id] == 0 {
			r.Errorf("%s has no effect", id)
		}
	}
	done := r.done(len(effects))
	for id, n := range effects {
		if n != 1 {
			r.Errorf("%s has %d effects", id, n)
		}
		if _, sent := r.sent[id]; !sent && rows[id] == 0 {
			r.Errorf("%s has an effect, and there was no message", id)
		}
		if done[id] == 0 {
			r.Errorf("nobody heard that %s is done", id)
		}
	}
	for id := range done {
		if effects[id] == 0 {
			r.Errorf("it was published that %s is done, and it has no effect", id)
		}
	}
	r.Logf("%d orders, %d other messages, %d effects; killed at %v", len(rows), len(r.sent), len(effects), r.deaths)
}

// column reads ids, and counts how often each is there.
func (r *rig) column(query string) map[string]int {
	r.Helper()
	rows, err := r.db.Query(query)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	seen := map[string]int{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			r.Fatal(err)
		}
		seen[id]++
	}
	if err := rows.Err(); err != nil {
		r.Fatal(err)
	}
	return seen
}

func (r *rig) number(query string) (n int) {
	r.Helper()
	if err := r.db.QueryRow(query).Scan(&n); err != nil {
		r.Fatal(err)
	}
	return n
}

func (r *rig) channel() *amqp.Channel {
	r.Helper()
	if r.ch != nil {
		return r.ch
	}
	c, err := amqp.Dial(r.broker)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = c.Close() })
	if r.ch, err = c.Channel(); err != nil {
		r.Fatal(err)
	}
	return r.ch
}

// depth is how many messages the queue has.
func (r *rig) depth() int {
	r.Helper()
	q, err := r.channel().QueueDeclarePassive(r.queue, true, false, false, false, nil)
	if err != nil {
		r.Fatal(err)
	}
	return q.Messages
}

// done reads what was published by the effects.
func (r *rig) done(different int) map[string]int {
	r.Helper()
	in, err := r.channel().Consume(r.queue+".done", "", true, false, false, false, nil)
	if err != nil {
		r.Fatal(err)
	}
	seen := map[string]int{}
	late := time.After(wait.Patience)
	for len(seen) < different {
		select {
		case m := <-in:
			seen[m.MessageId]++
		case <-late:
			return seen
		}
	}
	return seen
}
