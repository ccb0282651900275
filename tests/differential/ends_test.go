package differential_test

import (
	"errors"
	"testing"
	"time"

	"zamqp/amqpproto"
)

// aWhile is how long a broker that leaves the socket to its client leaves it open, at least.
// It is short, so that programs are quick, and a broker that closes the socket by itself does
// so in the same write.
const aWhile = 150 * time.Millisecond

// afterClose records what happens to the socket when both sides have said that the connection
// is over, and the client leaves its end open.
func (l *link) afterClose() string {
	for deadline := time.Now().Add(aWhile); ; {
		switch _, err := l.next(deadline); {
		case errors.Is(err, errSilent):
			return "the socket is left to the client"
		case err != nil:
			return "end of stream"
		}
	}
}

// endsLater waits for the end of the stream.
func (l *link) endsLater() bool {
	for deadline := time.Now().Add(patience); ; {
		switch _, err := l.next(deadline); {
		case errors.Is(err, errSilent):
			return false
		case err != nil:
			return true
		}
	}
}

var bye = &amqpproto.ConnectionClose{ReplyCode: 200}

// provoke makes the broker close the connection.
func (l *link) provoke(t *testing.T) {
	t.Helper()
	l.send(50, &amqpproto.QueueDeclare{Passive: true})
	if err := l.want(time.Now().Add(patience), amqpproto.IDConnectionClose); err != nil {
		t.Fatal(err)
	}
}

// closes are the ways in which a connection ends, and whether the broker then
// leaves its socket open.
var closes = []struct {
	name      string
	heartbeat uint16
	open      bool
	do        func(t *testing.T, l *link)
}{
	{"the client closes", 0, true, func(t *testing.T, l *link) {
		l.send(0, bye)
		l.hears(t, amqpproto.IDConnectionCloseOk)
	}},
	{"the client closes and goes on as if nothing had been", 0, true, func(t *testing.T, l *link) {
		l.send(0, bye)
		l.hears(t, amqpproto.IDConnectionCloseOk)
		l.send(1, marker)
	}},
	{"the client closes twice", 0, true, func(t *testing.T, l *link) {
		l.send(0, bye)
		l.hears(t, amqpproto.IDConnectionCloseOk)
		l.send(0, bye)
		l.hears(t, amqpproto.IDConnectionCloseOk)
	}},
	{"the client closes and answers for the broker", 0, false, func(t *testing.T, l *link) {
		l.send(0, bye)
		l.hears(t, amqpproto.IDConnectionCloseOk)
		l.send(0, &amqpproto.ConnectionCloseOk{})
	}},
	{"the client closes and ends its sending", 0, false, func(t *testing.T, l *link) {
		l.send(0, bye)
		l.hears(t, amqpproto.IDConnectionCloseOk)
		l.half()
	}},
	{"the client closes and waits for longer than a heartbeat", 1, false, func(t *testing.T, l *link) {
		l.send(0, bye)
		l.hears(t, amqpproto.IDConnectionCloseOk)
	}},
	{"the broker closes", 0, true, func(t *testing.T, l *link) { l.provoke(t) }},
	{"the broker closes and is answered", 0, false, func(t *testing.T, l *link) {
		l.provoke(t)
		l.send(0, &amqpproto.ConnectionCloseOk{})
	}},
	{"both close", 0, true, func(t *testing.T, l *link) {
		l.provoke(t)
		l.send(0, bye)
		l.hears(t, amqpproto.IDConnectionCloseOk)
	}},
	{"the broker closes and waits for longer than a heartbeat", 1, false, func(t *testing.T, l *link) { l.provoke(t) }},
	{"the broker closes for octets that are no frame", 0, true, func(t *testing.T, l *link) {
		l.write(broken["frame-end"](1))
		l.hears(t, amqpproto.IDConnectionClose)
	}},
	{"the broker closes for octets that are no frame and gives up", 0, false, func(t *testing.T, l *link) {
		l.write(broken["frame-end"](1))
		l.hears(t, amqpproto.IDConnectionClose)
		l.send(0, &amqpproto.ConnectionCloseOk{})
	}},
}

func (l *link) hears(t *testing.T, id amqpproto.MethodID) {
	t.Helper()
	if err := l.want(time.Now().Add(patience), id); err != nil {
		t.Fatal(err)
	}
}

// TestEnds: both brokers close a socket at the same time and from the same side.
func TestEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("compares with RabbitMQ")
	}
	p := pairs(t, reference(t))[0]
	for _, b := range []*broker{p.reference, p.subject} {
		for _, row := range closes {
			t.Run(b.name+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				l, err := dial(b.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer l.close()
				l.heartbeat = row.heartbeat
				if err := l.open(b.user, b.password, b.vhost); err != nil {
					t.Fatal(err)
				}
				l.send(1, &amqpproto.ChannelOpen{})
				l.hears(t, amqpproto.IDChannelOpenOk)
				row.do(t, l)
				if row.open {
					if what := l.afterClose(); what == "end of stream" {
						t.Error("the broker has closed the socket")
					}
				} else if !l.endsLater() {
					t.Error("the broker has not closed the socket")
				}
			})
		}
	}
}
