package client_test

import (
	"slices"
	"testing"

	"zamqp/amqpproto/client"
)

// TestSync: done is called when the acks before it were sent and answered, in any order with
// a pause or the end.
func TestSync(t *testing.T) {
	for _, row := range []struct {
		name  string
		after func(k *client.Consumer)
		want  client.State
	}{
		{"alone", func(*client.Consumer) {}, client.Up},
		{"then a pause", func(k *client.Consumer) { k.Pause() }, client.Paused},
		{"then a pause and its end", func(k *client.Consumer) { k.Pause(); k.Resume() }, client.Up},
		{"then the end", func(k *client.Consumer) { k.Cancel(nil) }, client.Cancelled},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &sink{}
			f, k := consuming(t, 0, s, nil)
			f.broker.deliver("c", "x")
			f.run()
			k.Ack(1, 1)
			told := 0
			for range 2 { // the second has to wait for its turn
				if !k.Sync(func() {
					told++
					if !slices.Equal(f.broker.acks, []string{"ack 1 true"}) {
						t.Errorf("told before the ack: %v", f.broker.acks)
					}
				}) {
					t.Fatal("not possible")
				}
			}
			row.after(k)
			f.run()
			if told != 2 && row.want == client.Up || told == 0 || k.State() != row.want {
				t.Errorf("told %d, %v", told, k)
			}
			if row.want != client.Up && k.Sync(func() {}) {
				t.Error("possible")
			}
		})
	}
}
