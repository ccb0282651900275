package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// deliveries returns the bodies that were delivered since the last call, in order.
func (p *peer) deliveries() (bodies []string) {
	for _, l := range strings.Split(p.hear(), "\n") {
		if _, body, ok := strings.Cut(l, " body "); ok {
			bodies = append(bodies, strings.Trim(body, `"`))
		}
	}
	return bodies
}

// messages publishes bodies to queue q.
func (p *peer) messages(bodies ...string) {
	for _, body := range bodies {
		p.publish(1, "", "q", body, amqpproto.Properties{})
	}
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func TestPrefetchOfConsumers(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	p.method(1, &amqpproto.BasicQos{PrefetchCount: 2})
	p.method(1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("a")})
	p.messages("1", "2", "3", "4", "5")
	same(t, "prefetch 2", p.deliveries(), "1", "2")
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 2})
	same(t, "one acked", p.deliveries(), "3")
	p.method(1, &amqpproto.BasicNack{DeliveryTag: 3, Multiple: true, Requeue: true})
	same(t, "both put back", p.deliveries(), "1", "3")
	p.method(1, &amqpproto.BasicReject{DeliveryTag: 4})
	same(t, "one rejected", p.deliveries(), "4")
	p.method(1, &amqpproto.BasicRecover{Requeue: true})
	same(t, "recovered", p.deliveries(), "3", "4")
	p.method(1, &amqpproto.BasicCancel{ConsumerTag: []byte("a")}).hear()
	p.method(1, &amqpproto.BasicAck{Multiple: true}) // what a cancelled consumer holds can be acked
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}).want("1 queue.declare-ok [q 1 0]")
}

func TestPrefetchOfTheChannel(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	p.method(1, &amqpproto.BasicQos{PrefetchCount: 3, Global: true})
	p.method(1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("a")})
	p.method(1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("b")})
	p.messages("1", "2", "3", "4", "5", "6", "7")
	same(t, "3 for both", p.deliveries(), "1", "2", "3")
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 2, Multiple: true})
	same(t, "2 acked", p.deliveries(), "4", "5")
	p.method(1, &amqpproto.BasicQos{Global: true})
	same(t, "no limit", p.deliveries(), "6", "7")
}

// An old delivery that is held for ever does not make the list of unacked deliveries grow.
func TestOneHeldDeliveryAmongMany(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	p.method(1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("a")})
	const n = 2000
	for i := 1; i <= n; i++ {
		p.messages(fmt.Sprint(i))
		if i > 10 && i%2 == 0 {
			p.method(1, &amqpproto.BasicAck{DeliveryTag: uint64(i)})
			p.method(1, &amqpproto.BasicAck{DeliveryTag: uint64(i - 1)})
		}
	}
	p.hear()
	p.method(1, &amqpproto.BasicNack{DeliveryTag: 9, Requeue: true})
	same(t, "the ninth comes again", p.deliveries(), "9")
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 10, Multiple: true}).want()
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 5}).want("1 channel.close [406 PRECONDITION_FAILED - unknown delivery tag 5 basic.ack]")
	if st := f.server.Stats(); st.Unacked != 0 || st.Messages != 1 {
		t.Errorf("%+v", st)
	}
}

func TestTransactions(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(2)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	p.method(1, &amqpproto.TxSelect{}).hear()
	p.messages("a", "b")
	p.say(publication(t, 1, "", "nowhere", "returned", amqpproto.Properties{}, true)).want()
	count := func(want string) {
		t.Helper()
		p.method(2, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}).want("2 queue.declare-ok [q " + want + "]")
	}
	count("0 0")
	p.method(1, &amqpproto.TxCommit{}).want("1 basic.return [312 NO_ROUTE  nowhere]", "1 header 8 map[]", `1 body "returned"`, "1 tx.commit-ok")
	count("2 0")
	p.messages("c")
	p.method(1, &amqpproto.TxRollback{}).want("1 tx.rollback-ok")
	count("2 0")
	p.method(1, &amqpproto.BasicGet{Queue: []byte("q")}).method(1, &amqpproto.BasicGet{Queue: []byte("q")}).hear()
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 1}).method(1, &amqpproto.BasicReject{DeliveryTag: 2, Requeue: true}).want()
	count("0 0")
	p.method(1, &amqpproto.TxRollback{}).want("1 tx.rollback-ok")
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 1}).method(1, &amqpproto.BasicReject{DeliveryTag: 2, Requeue: true}).want()
	p.method(1, &amqpproto.TxCommit{}).want("1 tx.commit-ok")
	count("1 0")
	p.messages("lost")
	p.method(1, &amqpproto.ChannelClose{}).want("1 channel.close-ok")
	count("1 0")
	p.lose(nil)
	if st := f.server.Stats(); st.Unacked != 0 || st.Messages != 1 {
		t.Errorf("%+v", st)
	}
}

// Confirms of a turn are one ack, and a return comes before the confirm.
func TestConfirmsOfATurn(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")}).method(1, &amqpproto.ConfirmSelect{}).hear()
	var in []byte
	for i := range 3 {
		in = append(in, publication(t, 1, "", "q", fmt.Sprint(i), amqpproto.Properties{}, true)...)
	}
	in = append(in, publication(t, 1, "", "nowhere", "x", amqpproto.Properties{}, true)...)
	p.say(in).want("1 basic.return [312 NO_ROUTE  nowhere]", "1 header 1 map[]", `1 body "x"`, "1 basic.ack {DeliveryTag:4 Multiple:true}")
	p.messages("5")
	p.want("1 basic.ack {DeliveryTag:5 Multiple:false}")
}

// What a connection held goes back, in order and marked, and its exclusive
// queues end.
func TestLost(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p, q := f.open(2), f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("mine"), Exclusive: true})
	p.method(2, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("a")})
	p.method(1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("b")})
	p.messages("1", "2", "3", "4")
	same(t, "delivered", p.deliveries(), "1", "2", "3", "4")
	q.method(1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("c"), NoAck: true}).hear()
	p.lose(nil)
	got := q.hear()
	if strings.Count(got, "true") != 4 || strings.Index(got, `"1"`) > strings.Index(got, `"2"`) || strings.Index(got, `"2"`) > strings.Index(got, `"4"`) {
		t.Errorf("heard %s", got)
	}
	q.method(1, &amqpproto.QueueDeclare{Queue: []byte("mine"), Passive: true}).want("1 channel.close [404 NOT_FOUND - no queue 'mine' in vhost '/' queue.declare]")
	if e := f.last(broker.ConnectionClosed); e.Err == nil {
		t.Error("a client that hangs up is not an orderly close")
	}
	if st := f.server.Stats(); st.Connections != 1 || st.Consumers != 0 || st.Channels != 1 || st.Unacked != 0 {
		t.Errorf("%+v", st)
	}
}
