package command

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher/amqpdoor"
	"zamqp/publisher/config"
)

// brokerCheck compares a plan with what its brokers have.
type brokerCheck struct {
	plan    *config.Plan
	table   *tabwriter.Writer
	timeout time.Duration
	declare bool // declare, and not only look

	problems int
	seen     map[string]bool // "queue NAME" that this connection has looked at
}

// run checks all connections in use. The error says how many problems there are.
func (k *brokerCheck) run(ctx context.Context) error {
	for _, name := range k.plan.Connections {
		if err := k.connection(ctx, name); err != nil {
			return err
		}
	}
	if err := k.table.Flush(); err != nil {
		return err
	}
	if k.problems > 0 {
		return fmt.Errorf("%s with the brokers", counted(k.problems, "problem"))
	}
	return nil
}

func (k *brokerCheck) connection(ctx context.Context, name string) error {
	fmt.Fprintf(k.table, "broker of %s\n", name)
	s, err := openSession(ctx, name, k.plan.Settings, k.timeout, "check")
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && k.plan.Settings.Connections[name].Embedded():
		k.say("connection."+name, "embedded", "not running: serve runs it, and declares what is missing")
		return nil
	case err != nil && k.plan.Settings.Connections[name].Embedded():
		k.say("connection."+name, "embedded", "cannot be asked from here: "+err.Error())
		return nil
	case err != nil:
		k.problem("connection."+name, "cannot be used", err)
		return nil
	}
	defer s.close()
	k.seen = map[string]bool{}
	for _, d := range amqpdoor.Declares(name, k.plan.Producers, k.plan.Consumers) {
		if k.declare {
			k.declareAll(ctx, s, d)
		} else {
			k.look(ctx, s, d)
		}
	}
	return nil
}

func (k *brokerCheck) say(who, what, word string) {
	fmt.Fprintf(k.table, "  %s\t%s\t%s\n", who, what, word)
}

func (k *brokerCheck) problem(who, what string, err error) {
	k.problems++
	k.say(who, what, "PROBLEM: "+err.Error())
}

// declareAll declares everything, as serve would.
func (k *brokerCheck) declareAll(ctx context.Context, s *session, d amqpdoor.Declared) {
	if err := s.declare(ctx, &d.Topology); err != nil {
		k.problem(d.Name, "declared up to", err)
		return
	}
	k.say(d.Name, fmt.Sprintf("%s, %s, %s", counted(len(d.Exchanges), "exchange"), counted(len(d.Queues), "queue"),
		counted(len(d.Bindings), "binding")), "declared")
}

// look changes nothing. It declares only what exists already, which the broker accepts if it
// is the same.
func (k *brokerCheck) look(ctx context.Context, s *session, d amqpdoor.Declared) {
	for _, x := range d.Exchanges {
		passive := x
		passive.Passive, passive.NoDeclare = true, false
		k.item(ctx, s, d.Name, fmt.Sprintf("exchange %q", x.Name), x.NoDeclare,
			&client.Topology{Exchanges: []client.Exchange{passive}}, &client.Topology{Exchanges: []client.Exchange{x}})
	}
	for _, q := range d.Queues {
		if q.Name == "" {
			continue // the broker names it, differently each time
		}
		passive := q
		passive.Passive, passive.NoDeclare = true, false
		k.item(ctx, s, d.Name, fmt.Sprintf("queue %q", q.Name), q.NoDeclare,
			&client.Topology{Queues: []client.Queue{passive}}, &client.Topology{Queues: []client.Queue{q}})
	}
	for _, exchange := range sourcesOf(d.Topology) {
		k.item(ctx, s, d.Name, fmt.Sprintf("exchange %q", exchange), true,
			&client.Topology{Exchanges: []client.Exchange{{Name: exchange, Passive: true}}}, nil)
	}
}

// sourcesOf returns the exchanges of bindings that the topology does not declare.
func sourcesOf(t client.Topology) (names []string) {
	known := map[string]bool{"": true}
	for _, x := range t.Exchanges {
		known[x.Name] = true
	}
	for _, b := range t.Bindings {
		if !known[b.Exchange] {
			known[b.Exchange] = true
			names = append(names, b.Exchange)
		}
	}
	sort.Strings(names)
	return names
}

// item looks at one exchange or queue. One that we do not declare has to exist.
func (k *brokerCheck) item(ctx context.Context, s *session, who, what string, foreign bool, passive, active *client.Topology) {
	if strings.HasSuffix(what, ` ""`) || k.seen[who+what] || strings.Contains(what, ` "amq.`) {
		return
	}
	k.seen[who+what] = true
	err := s.declare(ctx, passive)
	var refused *amqpproto.ChannelError
	if errors.As(err, &refused) {
		switch {
		case refused.Code == amqpproto.NotFound && !foreign:
			k.say(who, what, "missing: serve declares it")
			return
		case refused.Code == amqpproto.NotFound:
			k.problem(who, what, errors.New("missing, and auto_declare is off: declare it, or let zamqp do so"))
			return
		case refused.Code == amqpproto.ResourceLocked:
			k.say(who, what, "in use by its connection, which it belongs to (exclusive)")
			return
		}
	}
	if err == nil && !foreign && active != nil {
		err = s.declare(ctx, active)
	}
	if err != nil {
		k.problem(who, what, err)
		return
	}
	k.say(who, what, "ok")
}

// declare declares a topology once.
func (s *session) declare(ctx context.Context, t *client.Topology) error {
	return s.do(ctx, "declare", func(done func(error)) {
		if err := s.Client.Declare(t, func(_ []string, err error) { done(err) }); err != nil {
			done(err)
		}
	})
}
