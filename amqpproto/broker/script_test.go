package broker_test

import (
	"strings"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

func b(s string) []byte { return []byte(s) }

type props = amqpproto.Properties

// scripts are conversations that RabbitMQ and this broker must have alike. Queues
// and exchanges are named after their script, as all share a virtual host.
var scripts = map[string]func(p *player){
	"channel errors": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("ce"), Passive: true}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.BasicGet{Queue: b("ce-none")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.BasicConsume{Queue: b("ce-none")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.BasicGet{}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.QueueBind{Queue: b("ce-none"), Exchange: b("amq.direct")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.QueueBind{Exchange: b("amq.direct")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.QueuePurge{Queue: b("ce-none")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.QueueDeclare{Queue: b("amq.ce")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.ExchangeDeclare{Exchange: b("amq.ce"), Type: b("direct")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.ExchangeDeclare{Exchange: b("ce-none"), Type: b("direct"), Passive: true}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.ExchangeDelete{Exchange: b("amq.direct")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.ExchangeDelete{}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.ExchangeDeclare{Type: b("direct")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.publish(1, "ce-none", "x", props{}, false).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.QueueDelete{Queue: b("ce-none")}).do(1, &amqpproto.ExchangeDelete{Exchange: b("ce-none")})
	},
	"delivery tags": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("dt"), AutoDelete: true, Exclusive: true})
		for range 3 {
			c.publish(1, "", "dt", props{}, false)
		}
		c.do(1, &amqpproto.BasicGet{Queue: b("dt")}).do(1, &amqpproto.BasicGet{Queue: b("dt")}).do(1, &amqpproto.BasicGet{Queue: b("dt")})
		c.do(1, &amqpproto.BasicGet{Queue: b("dt")})
		c.do(1, &amqpproto.BasicAck{DeliveryTag: 2}).do(1, &amqpproto.BasicAck{DeliveryTag: 2})
		c.do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.BasicAck{DeliveryTag: 0, Multiple: true}).do(1, &amqpproto.BasicGet{Queue: b("dt")})
		c.do(1, &amqpproto.BasicReject{DeliveryTag: 1, Requeue: true}).do(1, &amqpproto.BasicGet{Queue: b("dt")})
		c.do(1, &amqpproto.BasicNack{DeliveryTag: 9, Multiple: true})
		c.do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.BasicAck{}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.BasicReject{DeliveryTag: 1}).do(1, &amqpproto.ChannelCloseOk{})
	},
	"consumer tags": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("ct"), Exclusive: true})
		c.do(1, &amqpproto.BasicConsume{Queue: b("ct"), ConsumerTag: b("a")})
		c.do(1, &amqpproto.BasicCancel{ConsumerTag: b("nobody")})
		c.do(1, &amqpproto.BasicCancel{ConsumerTag: b("a")})
		c.do(1, &amqpproto.BasicConsume{Queue: b("ct"), ConsumerTag: b("a"), Exclusive: true})
		c.do(2, &amqpproto.BasicConsume{Queue: b("ct"), ConsumerTag: b("a")})
		c.do(2, &amqpproto.ChannelCloseOk{})
		c.do(1, &amqpproto.BasicConsume{Queue: b("ct"), ConsumerTag: b("a")})
	},
	"the end of a queue": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("eq"), Exclusive: true})
		c.do(1, &amqpproto.BasicConsume{Queue: b("eq"), ConsumerTag: b("a")})
		c.do(2, &amqpproto.QueueDelete{Queue: b("eq"), IfUnused: true}).do(2, &amqpproto.ChannelCloseOk{}).do(2, &amqpproto.ChannelOpen{})
		c.publish(1, "", "eq", props{}, false)
		c.do(2, &amqpproto.QueueDelete{Queue: b("eq"), NoWait: true}) // RabbitMQ answers before or after the cancel
		c.listen()
		c.do(1, &amqpproto.BasicAck{DeliveryTag: 1}).do(1, &amqpproto.BasicCancel{ConsumerTag: b("a")})
	},
	"exclusive queues": func(p *player) {
		c, d := p.on("", "guest"), p.on("other", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("xq"), Exclusive: true})
		for _, m := range []amqpproto.Method{&amqpproto.QueueDeclare{Queue: b("xq"), Exclusive: true}, &amqpproto.QueueDeclare{Queue: b("xq"), Passive: true},
			&amqpproto.BasicConsume{Queue: b("xq")}, &amqpproto.BasicGet{Queue: b("xq")}, &amqpproto.QueueDelete{Queue: b("xq")}, &amqpproto.QueuePurge{Queue: b("xq")},
			&amqpproto.QueueBind{Queue: b("xq"), Exchange: b("amq.direct")}} {
			d.do(1, m).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		}
		c.do(0, &amqpproto.ConnectionClose{ReplyCode: 200})
		d.do(1, &amqpproto.QueueDeclare{Queue: b("xq"), Passive: true})
	},
	"returns and confirms": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.ConfirmSelect{}).do(1, &amqpproto.TxSelect{}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.ConfirmSelect{}).publish(1, "", "rc-nowhere", props{}, true).publish(1, "", "rc-nowhere", props{}, false)
		c.do(2, &amqpproto.TxSelect{}).do(2, &amqpproto.ConfirmSelect{}).do(2, &amqpproto.ChannelCloseOk{}).do(2, &amqpproto.ChannelOpen{})
		c.do(2, &amqpproto.TxCommit{}).do(2, &amqpproto.ChannelCloseOk{}).do(2, &amqpproto.ChannelOpen{})
		c.do(2, &amqpproto.TxRollback{}).do(2, &amqpproto.ChannelCloseOk{}).do(2, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.QueueDeclare{Queue: b("rc"), Exclusive: true, Arguments: table(amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})})
		c.publish(1, "", "rc", props{}, true).publish(1, "", "rc", props{}, true)
	},
	"properties": func(p *player) {
		c := p.on("", "guest")
		for _, pr := range []props{{UserID: b("somebody")}, {Expiration: b("soon")}, {Expiration: b("-1")}, {Expiration: b("1s")}, {DeliveryMode: 3},
			{ReplyTo: b("amq.rabbitmq.reply-to")}} {
			c.publish(1, "", "pr-nowhere", pr, false).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		}
		c.publish(1, "", "pr-nowhere", props{UserID: b("guest")}, true)
	},
	// Each consumer has its turn when a prefetch of the whole channel lets one go on.
	"global prefetch by turns": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("gt"), Exclusive: true}).do(1, &amqpproto.BasicQos{PrefetchCount: 1, Global: true})
		for _, tag := range []string{"a", "b", "c"} {
			c.do(1, &amqpproto.BasicConsume{Queue: b("gt"), ConsumerTag: b(tag)})
		}
		for range 8 {
			c.publish(2, "", "gt", props{}, false)
		}
		for tag := range uint64(4) {
			c.do(1, &amqpproto.BasicAck{DeliveryTag: tag + 1})
		}
		c.do(1, &amqpproto.BasicQos{PrefetchCount: 3, Global: true})
		c.do(1, &amqpproto.BasicAck{DeliveryTag: 7, Multiple: true})
	},
	"consumer prefetch by turns": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("pt"), Exclusive: true}).do(1, &amqpproto.BasicQos{PrefetchCount: 1})
		for _, tag := range []string{"a", "b", "c"} {
			c.do(1, &amqpproto.BasicConsume{Queue: b("pt"), ConsumerTag: b(tag)})
		}
		for range 8 {
			c.publish(2, "", "pt", props{}, false)
		}
		c.do(1, &amqpproto.BasicAck{DeliveryTag: 2}).do(1, &amqpproto.BasicAck{DeliveryTag: 4, Multiple: true})
	},
	"global prefetch and a consumer without acks": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("gn"), Exclusive: true}).do(1, &amqpproto.BasicQos{PrefetchCount: 1, Global: true})
		c.do(1, &amqpproto.BasicConsume{Queue: b("gn"), ConsumerTag: b("a")}).do(1, &amqpproto.BasicConsume{Queue: b("gn"), ConsumerTag: b("n"), NoAck: true})
		for range 4 {
			c.publish(2, "", "gn", props{}, false)
		}
		c.do(1, &amqpproto.BasicAck{DeliveryTag: 1}).do(1, &amqpproto.BasicCancel{ConsumerTag: b("a")})
	},
	// What is got counts from the moment at which the prefetch is set, and for ever.
	"global prefetch while messages are got": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("gg"), Exclusive: true})
		for range 6 {
			c.publish(2, "", "gg", props{}, false)
		}
		c.do(1, &amqpproto.BasicGet{Queue: b("gg")}).do(1, &amqpproto.BasicQos{PrefetchCount: 2, Global: true}).do(1, &amqpproto.BasicGet{Queue: b("gg")})
		c.do(1, &amqpproto.BasicConsume{Queue: b("gg"), ConsumerTag: b("a")}).do(1, &amqpproto.BasicAck{DeliveryTag: 1}).do(1, &amqpproto.BasicAck{DeliveryTag: 2})
		c.do(1, &amqpproto.BasicAck{DeliveryTag: 3})
		c.do(1, &amqpproto.BasicQos{PrefetchCount: 0, Global: true}).do(1, &amqpproto.BasicQos{PrefetchCount: 1, Global: true})
		c.do(1, &amqpproto.BasicAck{Multiple: true})
	},
	"global prefetch refused by a quorum queue": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("gq"), Durable: true, Arguments: table(amqp.Table{"x-queue-type": "quorum"})})
		c.do(1, &amqpproto.BasicQos{PrefetchCount: 5, Global: true}).do(1, &amqpproto.BasicConsume{Queue: b("gq"), ConsumerTag: b("a")})
		p.on("again", "guest").do(1, &amqpproto.QueueDelete{Queue: b("gq")})
	},
	"global prefetch after a quorum queue's consumer": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.QueueDeclare{Queue: b("gp"), Durable: true, Arguments: table(amqp.Table{"x-queue-type": "quorum"})})
		c.do(1, &amqpproto.QueueDeclare{Queue: b("gp2"), Exclusive: true})
		c.do(1, &amqpproto.BasicConsume{Queue: b("gp"), ConsumerTag: b("a")}).do(1, &amqpproto.BasicQos{PrefetchCount: 2, Global: true})
		c.do(1, &amqpproto.BasicConsume{Queue: b("gp2"), ConsumerTag: b("b")})
		for range 3 {
			c.publish(2, "", "gp", props{}, false).publish(2, "", "gp2", props{}, false)
		}
		c.do(1, &amqpproto.QueueDelete{Queue: b("gp")})
	},
	"not implemented":       func(p *player) { p.on("", "guest").do(1, &amqpproto.BasicQos{PrefetchSize: 7}) },
	"recover the other way": func(p *player) { p.on("", "guest").do(1, &amqpproto.BasicRecover{}) },
	"recover async":         func(p *player) { p.on("", "guest").do(1, &amqpproto.BasicRecoverAsync{}) },
	"flow": func(p *player) {
		p.on("", "guest").do(1, &amqpproto.ChannelFlow{Active: true}).do(1, &amqpproto.ChannelFlow{})
	},
	"open twice": func(p *player) { p.on("", "guest").do(1, &amqpproto.ChannelOpen{}) },
	"not open":   func(p *player) { p.on("", "guest").do(9, &amqpproto.QueueDeclare{Queue: b("no")}) },
	"unknown exchange type": func(p *player) {
		p.on("", "guest").do(1, &amqpproto.ExchangeDeclare{Exchange: b("uet"), Type: b("nonsense")})
	},
	"close ok out of thin air": func(p *player) { p.on("", "guest").do(9, &amqpproto.ChannelCloseOk{}) },
	"a second handshake":       func(p *player) { p.on("", "guest").do(0, &amqpproto.ConnectionTuneOk{}) },
	"immediate": func(p *player) {
		m := amqpproto.AppendBasicPublish(nil, 1, "", "q", false, true)
		m = amqpproto.AppendContentHeader(m, 1, amqpproto.ClassBasic, 0, []byte{0, 0})
		p.on("", "guest").raw(m)
	},
	"content that was not asked for": func(p *player) {
		p.on("", "guest").raw(amqpproto.AppendBody(nil, 1, b("x"), 4096))
	},
	"method in a content": func(p *player) {
		m := amqpproto.AppendBasicPublish(nil, 1, "", "q", false, false)
		m, _ = amqpproto.AppendMethod(m, 1, &amqpproto.QueueDeclare{Queue: b("x")})
		p.on("", "guest").raw(m)
	},
	"update secret": func(p *player) {
		p.on("", "guest").do(0, &amqpproto.ConnectionUpdateSecret{NewSecret: b("s"), Reason: b("r")})
	},
	"replies": func(p *player) {
		c, s := p.on("", "guest"), p.on("server", "guest")
		c.do(1, &amqpproto.BasicConsume{Queue: b("amq.rabbitmq.reply-to")}).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.BasicConsume{Queue: b("amq.rabbitmq.reply-to"), NoAck: true, ConsumerTag: b("r")})
		c.do(1, &amqpproto.QueueDeclare{Queue: b("amq.rabbitmq.reply-to"), Passive: true})
		s.do(1, &amqpproto.QueueDeclare{Queue: b("re"), Exclusive: true}).do(1, &amqpproto.BasicConsume{Queue: b("re"), ConsumerTag: b("s"), NoAck: true})
		c.publish(1, "", "re", props{ReplyTo: b("amq.rabbitmq.reply-to"), CorrelationID: b("1")}, true)
		s.listen()
		s.do(2, &amqpproto.QueueDeclare{Queue: b(p.replyTo), Passive: true})
		p.told = p.told[:len(p.told)-2] // it shows the name
		s.publish(2, "", p.replyTo, props{CorrelationID: b("1")}, false)
		p.told = p.told[:len(p.told)-2]
		c.listen()
		c.do(1, &amqpproto.BasicConsume{Queue: b("amq.rabbitmq.reply-to"), NoAck: true, ConsumerTag: b("r2")})
		c.do(1, &amqpproto.ChannelCloseOk{})
		s.do(2, &amqpproto.QueueDeclare{Queue: b("amq.rabbitmq.reply-to.nonsense"), Passive: true})
	},
	"get a reply": func(p *player) {
		p.on("", "guest").do(1, &amqpproto.BasicGet{Queue: b("amq.rabbitmq.reply-to"), NoAck: true})
	},
	"internal exchange": func(p *player) {
		c := p.on("", "guest")
		c.do(1, &amqpproto.ExchangeDeclare{Exchange: b("ix"), Type: b("fanout"), Internal: true, AutoDelete: true})
		c.publish(1, "ix", "", props{}, false).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.do(1, &amqpproto.ExchangeDelete{Exchange: b("ix")})
	},
	"permissions": func(p *player) {
		c := p.on("", "narrow")
		for _, m := range []amqpproto.Method{
			&amqpproto.QueueDeclare{Queue: b("theirs")}, &amqpproto.QueueDeclare{Exclusive: true}, &amqpproto.QueueDeclare{Queue: b("mine-q"), Exclusive: true},
			&amqpproto.QueueDeclare{Queue: b("mine-dlx"), Exclusive: true, Arguments: table(amqp.Table{"x-dead-letter-exchange": "theirs"})},
			&amqpproto.ExchangeDeclare{Exchange: b("theirs"), Type: b("direct")}, &amqpproto.ExchangeDelete{Exchange: b("theirs")},
			&amqpproto.ExchangeDeclare{Exchange: b("mine-ae"), Type: b("direct"), AutoDelete: true, Arguments: table(amqp.Table{"alternate-exchange": "theirs"})},
			&amqpproto.BasicGet{Queue: b("theirs")}, &amqpproto.BasicConsume{Queue: b("theirs")}, &amqpproto.QueuePurge{Queue: b("theirs")},
			&amqpproto.QueueDelete{Queue: b("theirs")}, &amqpproto.QueueBind{Queue: b("theirs"), Exchange: b("amq.direct")},
			&amqpproto.QueueBind{Queue: b("mine-q"), Exchange: b("amq.direct")}, &amqpproto.QueueUnbind{Queue: b("mine-q"), Exchange: b("amq.direct")},
			&amqpproto.ExchangeBind{Destination: b("theirs"), Source: b("amq.direct")}, &amqpproto.ExchangeBind{Destination: b("mine"), Source: b("amq.topic")},
		} {
			c.do(1, m)
			if strings.Contains(p.told[len(p.told)-1], "channel.close") {
				c.do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
			}
		}
		c.publish(1, "", "mine", props{}, false).do(1, &amqpproto.ChannelCloseOk{}).do(1, &amqpproto.ChannelOpen{})
		c.publish(1, "amq.direct", "mine", props{}, true)
	},
}
