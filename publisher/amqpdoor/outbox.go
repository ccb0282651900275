package amqpdoor

import (
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/publisher/crashpoint"
	"zamqp/publisher/outbox"
)

// A rowSender sends rows of the outbox with one connection. It goes past the connection's spool: the
// rows stay in their table until the broker has them. After a row that could not be sent, or whose
// outcome is not known, it sends none until it is probed, because later rows must not overtake.
type rowSender struct {
	door       *Door
	connection string
	halted     error // why nothing is sent; nil if rows are sent
	free       []*rowConfirm
	out        client.Outgoing // reused
}

// A rowTarget has the names in the rows of a producer's publishes.
type rowTarget struct{ connection, producer string }

// Outbox says that publishes with a connection become rows, if their calls have joined SQL. able
// reports whether that works now. Call it before Link.
func (d *Door) Outbox(connection string, able func() bool) { d.outboxes[connection] = able }

// Rows returns what sends the rows of a connection. It is for one dispatcher.
func (d *Door) Rows(connection string) outbox.Sender {
	return &rowSender{door: d, connection: connection, halted: errUnprobed}
}

var (
	errUnprobed = errors.New("nobody has asked whether the connection takes rows")
	errRowLate  = errors.New("the lease of the outbox was over before the message could be sent")
)

// Probe asks the client. Any goroutine may call it.
func (x *rowSender) Probe(answer func(error)) {
	if !x.door.runtime.Post(func() {
		err := error(client.ErrClosed)
		if l := x.door.links[x.connection]; l != nil {
			err = l.client.Foresee(nil, 1, 0)
		}
		x.halted = err
		answer(err)
	}) {
		answer(publisher.ErrShutdown)
	}
}

// Send sends rows in a turn of the loop. Any goroutine may call it.
func (x *rowSender) Send(rows []*outbox.Row, until time.Time, report func(*outbox.Row, outbox.Outcome, string)) {
	if x.door.runtime.Post(func() {
		for _, r := range rows {
			x.send(r, until, report)
		}
	}) {
		return
	}
	for _, r := range rows {
		report(r, outbox.Down, publisher.ErrShutdown.Error())
	}
}

// send sends one row.
func (x *rowSender) send(r *outbox.Row, until time.Time, report func(*outbox.Row, outbox.Outcome, string)) {
	l := x.door.links[x.connection]
	now := time.Now()
	if x.halted == nil && now.After(until) { // the process was frozen: another one may have sent the row
		x.halted = errRowLate
	}
	if x.halted != nil {
		report(r, outbox.Down, x.halted.Error())
		return
	}
	raw, expired := aged(r.Properties, now.Sub(r.Created))
	if expired {
		report(r, outbox.Expired, "")
		return
	}
	producer := l.byName[r.Producer] // nil if another version of the program has written the row
	x.out = client.Outgoing{
		Exchange: string(r.Exchange), RoutingKey: string(r.RoutingKey), Mandatory: r.Mandatory,
		RawProperties: raw, Body: r.Body, Lent: true,
	}
	size := len(r.Exchange) + len(r.RoutingKey) + len(raw) + len(r.Body)
	if err := l.client.Foresee(producer, 1, size); err != nil {
		x.unsent(l, producer, r, size, err, report)
		return
	}
	c := x.newConfirm()
	c.row, c.producer, c.report = r, producer, report
	if err := l.client.Publish(producer, &x.out, c); err != nil {
		x.release(c)
		x.unsent(l, producer, r, size, err, report)
	}
	crashpoint.At("row published") // and not written yet
}

// unsent decides about a row that the client does not take.
func (x *rowSender) unsent(l *link, producer *client.Producer, r *outbox.Row, size int, err error, report func(*outbox.Row, outbox.Outcome, string)) {
	down := l.client.Foresee(nil, 1, size)
	switch {
	case !l.client.Fits(size):
		report(r, outbox.Refused, fmt.Sprintf("it has %d octets: connection.%s.publish_max is less", size, l.name))
	case down != nil:
		x.halted = down
		report(r, outbox.Down, down.Error())
	case producer != nil && producer.Err() != nil:
		report(r, outbox.Again, producer.Err().Error())
	default: // the message itself is wrong
		report(r, outbox.Refused, err.Error())
	}
}

// A rowConfirm hears the outcome of a row. As a Lender, it ends with its connection: the row is
// sent again from the table, in its order.
type rowConfirm struct {
	sender   *rowSender
	row      *outbox.Row
	producer *client.Producer
	report   func(*outbox.Row, outbox.Outcome, string)
}

func (x *rowSender) newConfirm() *rowConfirm {
	if n := len(x.free); n > 0 {
		c := x.free[n-1]
		x.free = x.free[:n-1]
		return c
	}
	return &rowConfirm{sender: x}
}

func (x *rowSender) release(c *rowConfirm) {
	*c = rowConfirm{sender: x}
	if len(x.free) < inFlightMax {
		x.free = append(x.free, c)
	}
}

// Lends reports that the octets are there until the outcome.
func (c *rowConfirm) Lends() bool { return true }

// Late is called when confirm_timeout is over. The outcome still comes.
func (c *rowConfirm) Late() { c.report(c.row, outbox.Late, "") }

// Confirmed reports the outcome.
func (c *rowConfirm) Confirmed(err error) {
	x := c.sender
	crashpoint.At("row confirmed")
	o, why := outbox.Sent, ""
	if err != nil {
		o, why = c.outcome(err), err.Error()
	}
	if o == outbox.Down && x.halted == nil {
		x.halted = err
	}
	c.report(c.row, o, why)
	x.release(c)
}

// outcome says what an error means. The publish that made the broker close the channel gets that
// error; the others are sent again by the client.
func (c *rowConfirm) outcome(err error) outbox.Outcome {
	var lost *client.LostError
	var returned *client.ReturnError
	var channel *amqpproto.ChannelError
	switch {
	case errors.Is(err, client.ErrNacked):
		return outbox.Again
	case errors.As(err, &lost), errors.Is(err, client.ErrClosed):
		return outbox.Down
	case errors.Is(err, client.ErrConfirmTimeout): // it was not sent
		if c.producer != nil && c.producer.Err() != nil {
			return outbox.Again
		}
		return outbox.Down
	case errors.As(err, &returned), errors.As(err, &channel):
		return outbox.Refused
	}
	return outbox.Refused
}
