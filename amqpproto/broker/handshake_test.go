package broker_test

import (
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

func TestHandshake(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.dial("127.0.0.1:4711")
	p.say([]byte(amqpproto.ProtocolHeader)).want("0 connection.start [0 9 PLAIN AMQPLAIN en_US]")
	p.startOk("PLAIN", []byte("\x00guest\x00guest"), nil)
	p.want("0 connection.tune {ChannelMax:2047 FrameMax:131072 Heartbeat:60}")
	p.method(0, &amqpproto.ConnectionTuneOk{ChannelMax: 2047, FrameMax: 131072, Heartbeat: 60})
	p.method(0, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}).want("0 connection.open-ok")
	p.method(1, &amqpproto.ChannelOpen{}).want("1 channel.open-ok")
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")}).want("1 queue.declare-ok [q 0 0]")
	p.publish(1, "", "q", "hello", amqpproto.Properties{}).want()
	p.method(1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("c")}).want("1 basic.consume-ok c",
		"1 basic.deliver [c 1 false  q]", "1 header 5 map[]", `1 body "hello"`)
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 1}).want()
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 1}).want("1 channel.close [406 PRECONDITION_FAILED - unknown delivery tag 1 basic.ack]")
	p.method(1, &amqpproto.ChannelCloseOk{}).want()
	p.method(0, &amqpproto.ConnectionClose{ReplyCode: 200}).want("0 connection.close-ok")
}
