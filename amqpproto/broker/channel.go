package broker

import (
	"errors"

	"zamqp/amqpproto"
)

// channelState is what the channel waits for.
type channelState uint8

const (
	channelOpen         channelState = iota // in use
	awaitChannelCloseOk                     // we closed it; everything else is discarded
)

// channelMode reports whether publishes are also confirmed, or belong to a transaction.
type channelMode uint8

const (
	modePlain   channelMode = iota
	modeConfirm             // confirm.select
	modeTx                  // tx.select
)

// channel is one open channel of a connection.
type channel struct {
	conn   *Conn
	number uint16
	state  channelState
	mode   channelMode
	due    bool // the channel is in conn.confirming
	syncs  bool // the channel is in server.syncing

	later  bool    // the answer to the current method comes in a later turn
	chore  chore   // an ack, publish, commit or rollback that continues in later turns
	ending *ending // the same for the end of the channel

	prefetch uint16 // the prefetch of later consumers; 0 = no limit
	limit    int    // limit of the unacked deliveries of all consumers of classic queues; 0 = none
	held     int    // how many of those there are, while there is a limit; RabbitMQ's count, see onQos and settle

	consumers map[string]*consumer
	order     roster         // in the order of basic.consume
	retired   list[consumer] // those of them that have left their queue's rotation
	waking    *wakeChore     // wakes consumers in later turns
	reply     *replyBox      // direct reply-to
	current   []byte         // the queue declared last, which an empty name means

	tag       uint64 // the tag of the last delivery
	unacked   unacked
	confirms  confirms
	tx        transaction
	announced int64 // declared octets of a body that has not come yet
	in        content
	counted   int  // octets of in that count as memory
	part      bool // in is counted among conn.parts
}

// openChannel handles a method on a channel that is not open.
func (c *Conn) openChannel(number uint16, id amqpproto.MethodID, args []byte) error {
	switch {
	case !id.Known():
		return amqpproto.UnknownMethod(id)
	case c.opened >= int(c.channelMax):
		return connectionError(amqpproto.NotAllowed, id, "number of channels opened (%d) has reached the negotiated channel_max (%d)", c.opened, c.channelMax)
	case number > c.channelMax: // RabbitMQ only counts channels; here each number up to the highest one uses memory
		return connectionError(amqpproto.NotAllowed, id, "channel number %d is over the negotiated channel_max (%d)", number, c.channelMax)
	case id != amqpproto.IDChannelOpen:
		return connectionError(amqpproto.ChannelErrorCode, id, "expected 'channel.open'")
	}
	var m amqpproto.ChannelOpen
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if int(number) >= len(c.channels) {
		grown := make([]*channel, number+1)
		copy(grown, c.channels)
		c.channels = grown
	}
	ch := &channel{conn: c, number: number}
	ch.order.ofChannel = true
	ch.resetContent()
	c.channels[number] = ch
	c.opened++
	c.server.stats.Channels++
	c.send(number, &amqpproto.ChannelOpenOk{})
	return nil
}

// fault handles the error of a method: it closes the channel for a ChannelError, and
// returns a ConnectionError.
func (ch *channel) fault(id amqpproto.MethodID, err error) error {
	if err == nil {
		return nil
	}
	var e *amqpproto.ChannelError
	if errors.As(err, &e) {
		ch.fail(&amqpproto.ChannelError{Code: e.Code, Text: e.Text, Method: id, Channel: ch.number})
		return nil
	}
	var ce *amqpproto.ConnectionError
	if errors.As(err, &ce) && ce.Method == 0 {
		return &amqpproto.ConnectionError{Code: ce.Code, Text: ce.Text, Method: id}
	}
	return err
}

// fail closes the channel for an error of the client.
func (ch *channel) fail(e *amqpproto.ChannelError) {
	c := ch.conn
	ch.flushConfirms()
	c.send(ch.number, e.CloseMethod())
	ch.state = awaitChannelCloseOk
	c.note(ChannelClosed, e)
	if one := []*channel{ch}; !c.server.afford(endUnitsOf(one)) {
		c.endLater(one, nil)
		return
	}
	ch.endConsumers()
	ch.giveBack()
}

// onClose answers the client's channel.close.
func (ch *channel) onClose(args []byte) error {
	var m amqpproto.ChannelClose
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	if ch.state == awaitChannelCloseOk { // both sides have closed at once; the client must still answer our close
		c.send(ch.number, &amqpproto.ChannelCloseOk{})
		return nil
	}
	ch.flushConfirms()
	if one := []*channel{ch}; !c.server.afford(endUnitsOf(one)) {
		c.endLater(one, nil).last = func() {
			if c.state == connOpen {
				c.send(ch.number, &amqpproto.ChannelCloseOk{})
				ch.free()
			}
		}
		return nil
	}
	c.send(ch.number, &amqpproto.ChannelCloseOk{})
	ch.state = awaitChannelCloseOk // no queue delivers to the channel from now on
	ch.endConsumers()
	ch.giveBack()
	ch.free()
	return nil
}

// free makes the number of the channel free.
func (ch *channel) free() {
	c := ch.conn
	c.channels[ch.number] = nil
	c.opened--
	c.server.stats.Channels--
	if c.opened == 0 {
		c.channels = nil
	}
}

// endConsumers cancels all consumers. None of them gets a message during this.
func (ch *channel) endConsumers() {
	ch.state = awaitChannelCloseOk
	ch.consumers = nil
	for _, k := range ch.order.take() {
		ch.conn.server.stats.Consumers--
		k.queue.cancel(k)
	}
	ch.dropReply()
}

// giveBack returns unacked messages to their queues.
func (ch *channel) giveBack() { requeueEach(ch.surrender(nil), true) }

// surrender appends the unacked messages to dst, and drops everything that is not committed
// or confirmed. The consumers of the channel must have ended before.
func (ch *channel) surrender(dst []delivery) []delivery {
	ch.takeTx().all(ch.conn.server)
	dst, _ = ch.unacked.take(dst, 0, true)
	ch.confirms = confirms{}
	ch.resetContent()
	ch.countBody()
	ch.announce(0)
	ch.unacked = unacked{}
	return dst
}

// rested frees the memory that an idle channel does not need.
func (ch *channel) rested() {
	if ch.unacked.len() == 0 {
		ch.unacked = unacked{}
	}
	if len(ch.confirms.runs) == 0 {
		ch.confirms.runs = nil
	}
	if !ch.in.Busy() {
		ch.resetContent()
		ch.countBody()
	}
}

// onFlow refuses to stop deliveries, as RabbitMQ does: clients use prefetch for that.
func (ch *channel) onFlow(args []byte) error {
	var m amqpproto.ChannelFlow
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if !m.Active {
		return unsupported("active=false")
	}
	ch.conn.send(ch.number, &amqpproto.ChannelFlowOk{Active: true})
	return nil
}

// onMethod handles a method of the channel.
func (ch *channel) onMethod(id amqpproto.MethodID, args []byte) error {
	if ch.state == awaitChannelCloseOk {
		switch id {
		case amqpproto.IDChannelClose:
			return ch.onClose(args)
		case amqpproto.IDChannelCloseOk:
			ch.free()
		}
		return nil // the client sent it before it saw our close
	}
	if !id.FromClient() {
		if !id.Known() {
			return amqpproto.UnknownMethod(id)
		}
		return unimplemented(id)
	}
	if ch.in.Busy() {
		return ch.in.unexpected()
	}
	var err error
	if class := id.Class(); class == amqpproto.ClassQueue || class == amqpproto.ClassExchange || id == amqpproto.IDBasicQos {
		err = ch.change(id, args)
	} else {
		err = ch.handle(id, args)
	}
	err = ch.fault(id, err)
	ch.conn.server.tellEnded()
	return err
}

// handle is the table of methods.
func (ch *channel) handle(id amqpproto.MethodID, args []byte) error {
	switch id {
	case amqpproto.IDChannelOpen:
		return connectionError(amqpproto.ChannelErrorCode, id, "second 'channel.open' seen")
	case amqpproto.IDChannelClose:
		return ch.onClose(args)
	case amqpproto.IDChannelFlow:
		return ch.onFlow(args)
	case amqpproto.IDExchangeDeclare:
		return ch.onExchangeDeclare(args)
	case amqpproto.IDExchangeDelete:
		return ch.onExchangeDelete(args)
	case amqpproto.IDExchangeBind:
		return ch.onExchangeBind(args)
	case amqpproto.IDExchangeUnbind:
		return ch.onExchangeUnbind(args)
	case amqpproto.IDQueueDeclare:
		return ch.onQueueDeclare(args)
	case amqpproto.IDQueueBind:
		return ch.onQueueBind(args)
	case amqpproto.IDQueueUnbind:
		return ch.onQueueUnbind(args)
	case amqpproto.IDQueuePurge:
		return ch.onQueuePurge(args)
	case amqpproto.IDQueueDelete:
		return ch.onQueueDelete(args)
	case amqpproto.IDBasicQos:
		return ch.onQos(args)
	case amqpproto.IDBasicConsume:
		return ch.onConsume(args)
	case amqpproto.IDBasicCancel:
		return ch.onCancel(args)
	case amqpproto.IDBasicCancelOk:
		return nil // the answer to our basic.cancel in the specification; RabbitMQ accepts it too
	case amqpproto.IDBasicPublish:
		return ch.onPublish(args)
	case amqpproto.IDBasicGet:
		return ch.onGet(args)
	case amqpproto.IDBasicAck:
		return ch.onAck(args)
	case amqpproto.IDBasicNack:
		return ch.onNack(args)
	case amqpproto.IDBasicReject:
		return ch.onReject(args)
	case amqpproto.IDBasicRecover:
		return ch.onRecover(args)
	case amqpproto.IDBasicRecoverAsync:
		return ch.onRecoverAsync(args)
	case amqpproto.IDConfirmSelect:
		return ch.onConfirmSelect(args)
	case amqpproto.IDTxSelect:
		return ch.onTxSelect(args)
	case amqpproto.IDTxCommit:
		return ch.onTxCommit(args)
	case amqpproto.IDTxRollback:
		return ch.onTxRollback(args)
	}
	return unimplemented(id)
}

// unimplemented is the error for a method that a client may not send on an open
// channel.
func unimplemented(id amqpproto.MethodID) error {
	return connectionError(amqpproto.CommandInvalid, id, "unimplemented method")
}
