package broker_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// track takes deliveries out of what came.
func (p *crowdPeer) track() {
	for {
		f, n, err := amqpproto.CutFrame(p.out, 0)
		if n == 0 || err != nil {
			return
		}
		p.out = p.out[n:]
		switch f.Type {
		case amqpproto.FrameMethod:
			m, err := amqpproto.DecodeMethod(f.Payload)
			if err != nil {
				p.c.t.Fatal(err)
			}
			switch m := m.(type) {
			case *amqpproto.BasicDeliver:
				p.tag = m.DeliveryTag
			case *amqpproto.BasicRecoverOk: // what came before it has gone back
				clear(p.unacked)
				p.recovers = false
			}
		case amqpproto.FrameBody:
			if p.unacked[p.tag], err = strconv.Atoi(string(f.Payload)); err != nil {
				p.c.t.Fatal(err)
			}
		}
	}
}

// chaos is a random program in which large operations overlap, over slices that
// are tiny. Each message ends in one place: acked, in its queue or dead.
type chaos struct {
	*crowd
	rng       *rand.Rand
	publisher *crowdPeer
	consumers []*crowdPeer
	published int
	acked     map[int]bool
}

func (x *chaos) step() {
	switch k := x.rng.IntN(10); {
	case k < 3:
		for range 1 + x.rng.IntN(200) {
			x.publisher.in = append(x.publisher.in, publication(x.t, 1, "", "q", strconv.Itoa(x.published), amqpproto.Properties{}, false)...)
			x.published++
		}
	case k == 3 && len(x.consumers) < 4:
		p := x.open()
		p.unacked = map[uint64]int{}
		x.consumers = append(x.consumers, p)
		p.say(1, &amqpproto.BasicQos{PrefetchCount: uint16(x.rng.IntN(3) * 100)})
		p.say(1, &amqpproto.BasicConsume{Queue: []byte("q")})
	case k == 4:
		x.now = x.now.Add(time.Duration(x.rng.IntN(3)) * time.Second)
	case k == 5:
		x.publisher.say(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true})
	case len(x.consumers) > 0:
		x.settleSome(x.consumers[x.rng.IntN(len(x.consumers))])
	}
	for range x.rng.IntN(6) {
		x.turn()
	}
}

// settleSome has a consumer settle what it has, or go.
func (x *chaos) settleSome(p *crowdPeer) {
	if len(p.in) > 0 || p.recovers {
		return // it is not read, and the broker may have other things in mind than it
	}
	switch x.rng.IntN(5) {
	case 0:
		for tag, body := range p.unacked {
			if tag <= p.tag {
				x.acked[body] = true
			}
		}
		if len(p.unacked) > 0 {
			p.say(1, &amqpproto.BasicAck{DeliveryTag: p.tag, Multiple: true})
		}
		clear(p.unacked)
	case 1:
		if len(p.unacked) > 0 {
			p.say(1, &amqpproto.BasicNack{DeliveryTag: p.tag, Multiple: true, Requeue: true})
		}
		clear(p.unacked)
	case 2:
		if len(p.unacked) > 0 {
			p.say(1, &amqpproto.BasicNack{DeliveryTag: p.tag, Multiple: true})
		}
		clear(p.unacked)
	case 3:
		p.say(1, &amqpproto.BasicRecover{Requeue: true})
		p.recovers = true
	case 4:
		p.gone = true
		p.conn.Lost(nil)
		for i, o := range x.consumers {
			if o == p {
				x.consumers = append(x.consumers[:i], x.consumers[i+1:]...)
				break
			}
		}
	}
}

// end lets all consumers go, and looks for each message.
func (x *chaos) end(seed uint64) {
	x.settle()
	for _, p := range x.consumers {
		p.gone = true
		p.conn.Lost(nil)
	}
	x.settle()
	if st := x.server.Stats(); st.Unacked != 0 {
		x.t.Fatalf("seed %d: %d unacked", seed, st.Unacked)
	}
	found := map[int]string{}
	for body := range x.acked {
		found[body] = "acked"
	}
	for _, queue := range []string{"q", "dead"} {
		p := x.open()
		p.unacked = map[uint64]int{}
		p.do(&amqpproto.BasicConsume{Queue: []byte(queue), NoAck: true})
		last := -1
		for tag := uint64(1); tag <= uint64(len(p.unacked)); tag++ {
			body := p.unacked[tag]
			if was := found[body]; was != "" {
				x.t.Fatalf("seed %d: message %d is %s, and in %s", seed, body, was, queue)
			}
			found[body] = "in " + queue
			if queue == "q" && body < last {
				x.t.Fatalf("seed %d: message %d comes behind %d", seed, body, last)
			}
			last = body
		}
	}
	if len(found) != x.published {
		x.t.Fatalf("seed %d: %d of %d messages are somewhere", seed, len(found), x.published)
	}
	if st := x.server.Stats(); st.Messages != 0 || st.Memory != 0 {
		x.t.Fatalf("seed %d: %d messages and %d octets are left", seed, st.Messages, st.Memory)
	}
}

// TestMassesOverlap: whatever goes on in slices at the same time, no message is
// lost, doubled or out of order.
func TestMassesOverlap(t *testing.T) {
	programs := uint64(60)
	if testing.Short() || broker.RaceDetector {
		programs = 10
	}
	for seed := range programs {
		x := &chaos{crowd: newCrowd(t, broker.Options{}), rng: rand.New(rand.NewPCG(seed, 9)), acked: map[int]bool{}}
		x.publisher = x.open()
		args := amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
		if seed%2 == 0 {
			args["x-message-ttl"] = 5000
		}
		if seed%3 == 0 {
			args["x-max-length"] = 300
		}
		x.publisher.declare("dead", nil, false)
		x.publisher.declare("q", args, false)
		x.server.SliceUnits([]int{16, 100, 1000}[seed%3])
		for range 150 {
			x.step()
		}
		x.end(seed)
	}
}
