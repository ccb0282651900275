package broker

import (
	"bytes"
	"encoding/base64"

	"zamqp/amqpproto"
)

// Direct reply-to: a client consumes from the pseudo-queue amq.rabbitmq.reply-to and
// publishes requests with this name as reply_to. The broker replaces it by a name of the
// client's channel. A server publishes its reply to that name, and the broker delivers
// the reply to the channel at once. https://www.rabbitmq.com/docs/direct-reply-to

const (
	replyQueue  = "amq.rabbitmq.reply-to"
	replyPrefix = replyQueue + "."

	// replyMax is how many octets may be unsent on a connection before replies to it are
	// dropped. There is no queue that could hold them.
	replyMax = 16 << 20
)

// replyBox is a channel's consumer of replies.
type replyBox struct {
	ch   *channel
	tag  string
	name []byte // what replaces reply_to
}

func isReplyName(key []byte) bool { return bytes.HasPrefix(key, []byte(replyPrefix)) }

func isReplyQueue(name []byte) bool { return string(name) == replyQueue || isReplyName(name) }

// replyExists reports whether a passive declare of such a name succeeds: servers use this
// to check whether the client is still there.
func (s *Server) replyExists(name []byte) bool {
	return string(name) == replyQueue || s.replies[string(name)] != nil
}

func (ch *channel) consumeReplies(m *amqpproto.BasicConsume) error {
	s := ch.conn.server
	switch {
	case ch.consumers[string(m.ConsumerTag)] != nil:
		return connectionError(amqpproto.NotAllowed, m.ID(), "attempt to reuse consumer tag '%s'", m.ConsumerTag)
	case !m.NoAck:
		return precondition("reply consumer cannot acknowledge")
	case ch.reply != nil:
		return precondition("reply consumer already set")
	}
	tag := string(m.ConsumerTag)
	if tag == "" {
		tag = s.generatedTag()
	}
	var b [24]byte
	_, _ = s.rng.Read(b[:])
	box := &replyBox{ch: ch, tag: tag, name: append([]byte(replyPrefix), base64.RawURLEncoding.EncodeToString(b[:])...)}
	ch.reply = box
	s.replies[string(box.name)] = box
	s.stats.Consumers++
	if !m.NoWait {
		ch.conn.send(ch.number, &amqpproto.BasicConsumeOk{ConsumerTag: []byte(tag)})
	}
	return nil
}

// dropReply ends the consumer of replies.
func (ch *channel) dropReply() {
	if ch.reply == nil {
		return
	}
	s := ch.conn.server
	delete(s.replies, string(ch.reply.name))
	s.stats.Consumers--
	ch.reply = nil
}

// rewriteReplyTo replaces reply_to by the name of the channel's reply box, if a request
// asks for direct reply-to.
func (ch *channel) rewriteReplyTo(p *publishing) error {
	if !p.properties.Has(amqpproto.FlagReplyTo) || string(p.properties.ReplyTo) != replyQueue {
		return nil
	}
	if ch.reply == nil {
		return precondition("fast reply consumer does not exist")
	}
	p.properties.ReplyTo = ch.reply.name
	props, err := p.properties.Append(ch.conn.server.replyScratch[:0])
	if err != nil {
		return precondition("invalid message: %v", err)
	}
	ch.conn.server.replyScratch = props
	p.props = props
	return nil
}

// deliverReply delivers a publish to the reply box that its routing key names, if it
// exists.
func (s *Server) deliverReply(p *publishing) {
	box := s.replies[string(p.key)]
	if box == nil {
		return
	}
	ch := box.ch
	c := ch.conn
	if ch.state != channelOpen || c.out.Len()+len(p.body) > max(replyMax, int(s.opts.BodyMax)) {
		return
	}
	ch.tag++
	c.out.Room()
	c.out.Buf = amqpproto.AppendBasicDeliver(c.out.Buf, ch.number, box.tag, ch.tag, false, "", string(p.key))
	c.appendContent(ch.number, parts{props: p.props, body: p.body, large: p.large})
	s.stats.Delivered++
	c.wake()
}
