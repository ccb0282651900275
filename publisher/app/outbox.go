package app

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/outbox"
)

// outboxes are the dispatchers that send the rows of the outbox: one for each connection with an
// outbox in each database. They work on goroutines beside the loop.
type outboxes struct {
	all    []dispatching
	cancel context.CancelFunc
}

// dispatching is one dispatcher with its names.
type dispatching struct {
	database, connection string
	*outbox.Dispatcher
}

// openDatabases asks the handler packages for their databases, before the loop runs.
func (a *application) openDatabases(ctx context.Context) error {
	return a.server.OpenDatabases(ctx, func(name string) bool {
		return len(a.plan.Outboxes()) > 0 || slices.ContainsFunc(a.inboxes(), func(consumer string) bool {
			return a.plan.Consumers[consumer].Dedupe.Database == name
		})
	})
}

// openOutboxes makes the dispatchers. It is called before the connections are made, which the
// dispatchers use when they run.
func (a *application) openOutboxes() {
	o := &a.outboxes
	for _, connection := range a.plan.Outboxes() {
		a.server.EachDatabase(func(name string, db *sql.DB) {
			d := outbox.New(outbox.Options{DB: db, Database: name, Connection: connection, Sender: a.amqp.Rows(connection), Log: a.log})
			o.all = append(o.all, dispatching{name, connection, d})
			a.server.BindOutbox(name, connection, d.Wake)
		})
		a.amqp.Outbox(connection, func() bool { return o.able(connection) })
	}
	if len(o.all) > 0 {
		a.server.AddReporter(o)
		a.server.AddMeter(o)
	}
}

// run starts the dispatchers.
func (o *outboxes) run() {
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	for _, d := range o.all {
		go d.Run(ctx)
	}
}

// stop ends the dispatchers, when what they have sent has its outcome, and then calls done on the
// loop's thread.
func (a *application) stopOutboxes(done func()) {
	if len(a.outboxes.all) == 0 || a.outboxes.cancel == nil {
		done()
		return
	}
	for _, d := range a.outboxes.all {
		d.Stop()
	}
	go func() {
		for _, d := range a.outboxes.all {
			<-d.Stop()
		}
		a.loop.Post(done)
	}()
}

// end gives up, when the loop has ended.
func (o *outboxes) end() {
	if o.cancel != nil {
		o.cancel()
	}
}

// able reports whether the databases take what the connection's calls publish.
func (o *outboxes) able(connection string) bool {
	for _, d := range o.all {
		if d.connection == connection && d.Stats().Err != nil {
			return false
		}
	}
	return true
}

// Report returns the state of each outbox. It is ready while its database can be used: a broker
// that is away is a state of the connection.
func (o *outboxes) Report() (all []publisher.Status) {
	for _, d := range o.all {
		s := d.Stats()
		r := publisher.Status{Kind: "outbox", Name: d.database + "/" + d.connection, Ready: s.Err == nil, State: "empty"}
		if s.Waiting > 0 {
			r.State = fmt.Sprintf("%d messages", s.Waiting)
		}
		if s.Aside > 0 {
			r.State += fmt.Sprintf(", %d aside", s.Aside)
		}
		switch {
		case s.Err != nil:
			r.Detail = s.Err.Error()
		case s.Down != nil && s.Waiting > 0:
			r.Detail = s.Down.Error()
		}
		all = append(all, r)
	}
	return all
}

// Measure appends the numbers of each outbox.
func (o *outboxes) Measure(dst []publisher.Metric) []publisher.Metric {
	for _, d := range o.all {
		s := d.Stats()
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(0, time.Since(s.Oldest).Seconds())
		}
		dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "database", Value: d.database}, {Name: "connection", Value: d.connection}},
			publisher.Metric{Name: "outbox_messages", Help: "Rows of the outbox that wait, of all processes; counted every 10 seconds.", Value: float64(s.Waiting)},
			publisher.Metric{Name: "outbox_oldest_seconds", Help: "The age of the row that waits with the lowest id; 0 if none waits.", Value: age},
			publisher.Metric{Name: "outbox_aside_messages", Help: "Rows of the outbox that the broker has refused, which stay until somebody retries or drops them; counted every 10 seconds.", Value: float64(s.Aside)},
			publisher.Metric{Name: "outbox_dispatching", Help: "1 while this process sends the rows: one of all processes does.", Value: publisher.Bit(s.Leading)},
			publisher.Metric{Name: "outbox_sent_total", Help: "Rows that the broker has confirmed to this process.", Value: float64(s.Sent)},
			publisher.Metric{Name: "outbox_refused_total", Help: "Rows that the broker has refused for good, which are kept aside.", Value: float64(s.Refused)},
			publisher.Metric{Name: "outbox_retries_total", Help: "Rows that were not taken, or whose outcome is not known: they are sent again.", Value: float64(s.Again)},
			publisher.Metric{Name: "outbox_expired_total", Help: "Rows whose expiration was over before they could be sent.", Value: float64(s.Expired)},
			publisher.Metric{Name: "outbox_database_failures_total", Help: "Failed statements; they are tried again.", Value: float64(s.Failures)},
		)
	}
	return dst
}
