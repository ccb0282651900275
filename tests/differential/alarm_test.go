package differential_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
)

// alarmed is a broker whose memory alarm a test can set off and end.
type alarmed struct {
	*broker
	set, clear func()
}

// rabbitAlarm sets off the alarm of the whole node, so nothing else runs on it.
func rabbitAlarm(t *testing.T, node *rabbitmq.Node) alarmed {
	const alarm = "{resource_limit, memory, node()}"
	clear := func() { node.Ctl(t, "eval", "rabbit_alarm:clear_alarm("+alarm+").") }
	t.Cleanup(clear)
	return alarmed{prepare(t, node, "a")[0], func() { node.Ctl(t, "eval", "rabbit_alarm:set_alarm({"+alarm+", []}).") }, clear}
}

// ourAlarm fills a queue, and empties it.
func ourAlarm(t *testing.T) alarmed {
	n := embedded.New(t, embedded.Options{Vhosts: vhosts("a"), Set: []string{"log.level=error", "broker.memory_max=1MiB"}})
	b := at(t, "ours", n.URL, "a")[0]
	with := func(do func(l *link)) {
		l := opened(t, b, false)
		defer l.close()
		l.send(1, &amqpproto.QueueDeclare{Queue: []byte("ballast")})
		l.hears(t, amqpproto.IDQueueDeclareOk)
		do(l)
	}
	return alarmed{b, func() {
		with(func(l *link) {
			l.write(publication(1, &amqpproto.BasicPublish{RoutingKey: []byte("ballast")}, &amqpproto.Properties{}, make([]byte, 1<<20)))
			l.write(publication(1, &amqpproto.BasicPublish{RoutingKey: []byte("nowhere")}, &amqpproto.Properties{}, nil))
			l.hears(t, amqpproto.IDConnectionBlocked)
		})
	}, func() {
		with(func(l *link) {
			l.send(1, &amqpproto.QueuePurge{Queue: []byte("ballast")})
			l.hears(t, amqpproto.IDQueuePurgeOk)
		})
	}}
}

// opened is a connection with a channel; a dumb one knows no connection.blocked.
func opened(t *testing.T, b *broker, dumb bool) *link {
	t.Helper()
	l, err := dial(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	l.dumb = dumb
	if err := l.open(b.user, b.password, b.vhost); err != nil {
		t.Fatal(err)
	}
	l.send(1, &amqpproto.ChannelOpen{})
	l.hears(t, amqpproto.IDChannelOpenOk)
	return l
}

// alarmScript is what publishers and other clients receive while memory is low.
type alarmScript struct {
	t    *testing.T
	b    alarmed
	told []string
}

// hear writes down the next message, or that there is none for a while.
func (s *alarmScript) hear(who string, l *link, expected bool) {
	wait := aWhile
	if expected {
		wait = patience
	}
	m, err := l.next(time.Now().Add(wait))
	switch {
	case errors.Is(err, errSilent):
		s.told = append(s.told, who+" hears nothing")
	case err != nil:
		s.told = append(s.told, who+": end of stream")
	default:
		text := show(m)
		if x, ok := m.method.(*amqpproto.ConnectionBlocked); ok {
			text += " " + string(x.Reason)
		}
		s.told = append(s.told, who+" hears "+text)
	}
}

func (s *alarmScript) publish(l *link, text string) {
	l.write(publication(1, &amqpproto.BasicPublish{RoutingKey: []byte("work")}, &amqpproto.Properties{}, []byte(text)))
}

// await polls until the queue has n messages, or a while has passed.
func (s *alarmScript) await(l *link, n uint32) {
	var got uint32
	for deadline := time.Now().Add(patience); got < n && time.Now().Before(deadline); {
		got = s.count(l)
	}
	time.Sleep(aWhile) // more would be there
	s.told = append(s.told, fmt.Sprintf("%d messages", s.count(l)))
}

func (s *alarmScript) count(l *link) uint32 {
	l.send(1, &amqpproto.QueueDeclare{Queue: []byte("work"), Passive: true})
	m, err := l.next(time.Now().Add(patience))
	if err != nil {
		s.t.Fatal(err)
	}
	ok, is := m.method.(*amqpproto.QueueDeclareOk)
	if !is {
		s.t.Fatal(show(m))
	}
	return ok.MessageCount
}

func (s *alarmScript) run() string {
	other, pub, dumb := opened(s.t, s.b.broker, false), opened(s.t, s.b.broker, false), opened(s.t, s.b.broker, true)
	other.send(1, &amqpproto.QueueDeclare{Queue: []byte("work")})
	s.hear("other", other, true)
	for range 2 {
		s.b.set()
		pub.send(1, marker) // the alarm does not affect a client that does not publish
		s.hear("publisher", pub, true)
		s.publish(pub, "taken")
		s.hear("publisher", pub, true)
		s.publish(dumb, "taken")
		s.hear("publisher without the capability", dumb, false)
		s.await(other, 2)
		s.publish(pub, "held")
		s.publish(dumb, "held")
		s.await(other, 2)
		late := opened(s.t, s.b.broker, false)
		s.publish(late, "taken")
		s.hear("another publisher", late, true)
		late.send(0, bye) // behind no publish
		s.b.clear()
		s.hear("publisher", pub, true)
		s.hear("another publisher", late, true)
		s.hear("another publisher", late, true)
		s.await(other, 5)
		other.send(1, &amqpproto.QueuePurge{Queue: []byte("work")})
		s.hear("other", other, true)
	}
	other.send(1, &amqpproto.QueueDelete{Queue: []byte("work")})
	s.hear("other", other, true)
	return strings.Join(s.told, "\n")
}

// TestAlarm: connection.blocked and connection.unblocked come to the same clients
// in the same order.
func TestAlarm(t *testing.T) {
	if testing.Short() {
		t.Skip("compares with RabbitMQ")
	}
	theirs := (&alarmScript{t: t, b: rabbitAlarm(t, reference(t))}).run()
	ours := (&alarmScript{t: t, b: ourAlarm(t)}).run()
	if ours != theirs {
		t.Errorf("RabbitMQ:\n%s\n\nours:\n%s", theirs, ours)
	}
}
