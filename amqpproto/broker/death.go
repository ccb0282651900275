package broker

import (
	"encoding/binary"
	"slices"

	"zamqp/amqpproto"
)

// deathRow is one table of x-death: a queue and a reason, and how often. Rows
// are the latest first.
type deathRow struct {
	table         amqpproto.RawTable // as it arrived; nil if it is new
	other         amqpproto.Field    // an entry of x-death that is not a table
	queue, reason []byte
	queueIsString bool
	count         int64
	hasCount      bool
}

// remember writes the headers that say where and why a message died.
// https://www.rabbitmq.com/dlx.html#effects
func (l *letter) remember(d death, p parts, seconds int64) {
	l.deaths = l.deaths[:0]
	i := l.find("x-death")
	if i < 0 {
		// These are written only once. A client that removes x-death starts a new history.
		l.set("x-first-death-reason", stringField(string(d.reason)))
		l.set("x-first-death-queue", stringField(d.queue.name))
		l.set("x-first-death-exchange", stringField(string(p.exchange)))
	} else if v := l.pairs[i].value; v.Type == amqpproto.FieldArray {
		_ = v.Each(func(f amqpproto.Field) bool {
			l.deaths = append(l.deaths, readDeath(f))
			return true
		})
		l.group()
	}
	row := deathRow{queue: []byte(d.queue.name), reason: []byte(d.reason), queueIsString: true}
	fresh := true
	for i := range l.deaths {
		if l.deaths[i].same(&row) {
			row, fresh = l.deaths[i], false
			l.deaths = append(l.deaths[:i], l.deaths[i+1:]...)
			break
		}
	}
	row.count++
	row.hasCount = true
	if fresh {
		row.table = l.newDeath(d, p, seconds)
	}
	l.deaths = append(l.deaths, deathRow{})
	copy(l.deaths[1:], l.deaths)
	l.deaths[0] = row
	at := len(l.values)
	for i := range l.deaths {
		l.values = l.deaths[i].append(l.values)
	}
	l.set("x-death", amqpproto.Field{Type: amqpproto.FieldArray, Raw: l.values[at:]})
}

func readDeath(f amqpproto.Field) (d deathRow) {
	t, ok := f.Table()
	if !ok {
		return deathRow{other: f}
	}
	d.table = t
	if v, ok := t.Lookup("queue"); ok {
		d.queue, d.queueIsString = v.Raw, v.Type == amqpproto.FieldString
	}
	if v, ok := t.Lookup("reason"); ok {
		d.reason = v.Raw
	}
	if v, ok := t.Lookup("count"); ok {
		d.count, d.hasCount = v.Int()
	}
	return d
}

func (d *deathRow) same(o *deathRow) bool {
	return d.other.Type == 0 && o.other.Type == 0 && string(d.queue) == string(o.queue) && string(d.reason) == string(o.reason)
}

// group merges rows with the same queue and reason: some clients publish a dead letter again
// with its headers, and so double them. The first row stays. If it has no count, it gets the
// number of rows. The order comes out reversed. That is probably an accident in RabbitMQ, but
// programs see it there.
func (l *letter) group() {
	if len(l.deaths) < 2 {
		return
	}
	// This is a map, because a client may send as many rows as fit into a frame.
	rows := make(map[[2]string]int64, len(l.deaths))
	for i := range l.deaths {
		rows[l.deaths[i].event()]++
	}
	kept := l.deaths[:0]
	for _, d := range l.deaths {
		n, first := rows[d.event()]
		switch {
		case d.other.Type != 0:
		case !first:
			continue
		case !d.hasCount:
			d.count, d.hasCount = n, true
		}
		delete(rows, d.event())
		kept = append(kept, d)
	}
	slices.Reverse(kept)
	l.deaths = kept
}

// event is the key by which rows are compared.
func (d *deathRow) event() [2]string { return [2]string{string(d.queue), string(d.reason)} }

// newDeath returns the table of a row, without its count.
func (l *letter) newDeath(d death, p parts, seconds int64) amqpproto.RawTable {
	at := len(l.values)
	add := func(name string, v amqpproto.Field) { l.values = appendPair(l.values, []byte(name), v) }
	add("reason", stringField(string(d.reason)))
	add("queue", stringField(d.queue.name))
	var t [8]byte
	binary.BigEndian.PutUint64(t[:], uint64(seconds))
	add("time", amqpproto.Field{Type: amqpproto.FieldTimestamp, Raw: t[:]})
	add("exchange", amqpproto.Field{Type: amqpproto.FieldString, Raw: p.exchange})
	keys := appendField(nil, amqpproto.Field{Type: amqpproto.FieldString, Raw: p.key})
	for more := l.more; len(more) > 0; {
		var key []byte
		key, more = cutKey(more)
		keys = appendField(keys, amqpproto.Field{Type: amqpproto.FieldString, Raw: key})
	}
	add("routing-keys", amqpproto.Field{Type: amqpproto.FieldArray, Raw: keys})
	if l.properties.Has(amqpproto.FlagExpiration) {
		add("original-expiration", amqpproto.Field{Type: amqpproto.FieldString, Raw: l.properties.Expiration})
	}
	return l.values[at:]
}

// append writes the row as an element of an array.
func (d *deathRow) append(dst []byte) []byte {
	if d.other.Type != 0 {
		return appendField(dst, d.other)
	}
	dst = append(dst, amqpproto.FieldTable, 0, 0, 0, 0)
	at := len(dst)
	if d.hasCount {
		dst = appendKey(dst, []byte("count"))
		dst = append(dst, amqpproto.FieldInt64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(d.count))
	}
	_ = d.table.Each(func(key []byte, v amqpproto.Field) bool {
		if string(key) != "count" {
			dst = appendPair(dst, key, v)
		}
		return true
	})
	return closeField(dst, at)
}

func stringField(s string) amqpproto.Field {
	return amqpproto.Field{Type: amqpproto.FieldString, Raw: []byte(s)}
}
