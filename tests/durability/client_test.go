package durability_test

import (
	"context"
	"math/rand/v2"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// send publishes one message, and tells whether the connection still took it.
func (w *work) send(ch *amqp.Channel, key, id string, mode uint8) (*amqp.DeferredConfirmation, bool) {
	// Lengths on both sides of what fits a frame, a disk page, and little.
	body := id + strings.Repeat(".", []int{0, 10, 200, 5000}[rand.IntN(4)])
	d, err := ch.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, true, false,
		amqp.Publishing{DeliveryMode: mode, Body: []byte(body)})
	return d, err == nil
}

// returned fails on every message that no queue took: the bindings are durable.
func (w *work) returned(ch *amqp.Channel) {
	returns := ch.NotifyReturn(make(chan amqp.Return, 100))
	w.done.Go(func() {
		for r := range returns {
			w.t.Errorf("cycle %d: %.14q was returned: %s", w.cycle, r.Body, r.ReplyText)
		}
	})
}

// publish sends persistent messages, and some transient ones, as fast as at most
// 200 without a confirm allow.
func (w *work) publish(ch *amqp.Channel) {
	w.returned(ch)
	if ch.Confirm(false) != nil {
		return
	}
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, 1000))
	var window []string
	for n := 0; ; n++ {
		kind, mode := persistent, amqp.Persistent
		if n%10 == 9 {
			kind, mode = transient, amqp.Transient
		}
		id := name(kind, w.cycle, n)
		if _, ok := w.send(ch, queue+".a", id, mode); !ok {
			break
		}
		window = append(window, id)
		for len(window) >= 200 {
			c, ok := <-confirms
			if !ok {
				return
			}
			w.confirm(c, window[0])
			window = window[1:]
		}
	}
	// The end has come; what was read before it still counts.
	for c := range confirms {
		w.confirm(c, window[0])
		window = window[1:]
	}
}

func (w *work) confirm(c amqp.Confirmation, id string) {
	if !c.Ack {
		w.t.Errorf("%s was refused", id)
		return
	}
	w.l.confirm(id)
}

// transact sends three messages a transaction.
func (w *work) transact(ch *amqp.Channel) {
	if ch.Tx() != nil {
		return
	}
	for n := 0; ; n += 3 {
		var ids []string
		for i := range 3 {
			id := name(committed, w.cycle, n+i)
			if _, ok := w.send(ch, queue+".b", id, amqp.Persistent); !ok {
				return
			}
			ids = append(ids, id)
		}
		if ch.TxCommit() != nil {
			return
		}
		w.l.confirm(ids...)
	}
}

// consume acks most of what it gets, in groups. After each group it sends a receipt, whose
// confirm says that the acks have arrived and count for good.
func (w *work) consume(ch *amqp.Channel) {
	w.returned(ch)
	if ch.Confirm(false) != nil || ch.Qos(prefetch, 0, false) != nil {
		return
	}
	deliveries, err := ch.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		return
	}
	type behind struct {
		confirm *amqp.DeferredConfirmation
		ids     []string
	}
	var open []behind
	var acked []string
	seen, last := map[string]bool{}, map[string]string{}
	held := 0
	for d := range deliveries {
		w.l.arrival(&d, w.cycle, seen, last)
		id := string(d.Body[:nameLength])
		// Some stay unacked, so that every life of the broker leaves some behind.
		if rand.IntN(20) == 0 && held < 50 {
			held++
			continue
		}
		w.l.settle(false, id) // before it is written: it may come and not be told
		if d.Ack(false) != nil {
			break
		}
		if acked = append(acked, id); len(acked) >= 20 {
			c, ok := w.send(ch, receipts+".x", name(receipt, w.cycle, len(seen)), amqp.Persistent)
			if !ok {
				break
			}
			open, acked = append(open, behind{c, acked}), nil
		}
	}
	for _, r := range open {
		select {
		case <-r.confirm.Done():
			if r.confirm.Acked() {
				w.l.settle(true, r.ids...)
			}
		default:
		}
	}
}
