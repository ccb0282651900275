package amqpdoor

import (
	"encoding/binary"
	"strconv"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// identify sets the message id of a publish that has none. So a receiver can recognise a
// message that comes twice, once from the call and once from the disk.
func (x *spooler) identify(p *publisher.Publication) error {
	if len(p.RawProperties) >= 2 && binary.BigEndian.Uint16(p.RawProperties)&amqpproto.FlagMessageID != 0 {
		return nil
	}
	var props amqpproto.Properties
	if len(p.RawProperties) > 0 {
		if _, err := props.Decode(p.RawProperties); err != nil {
			return err
		}
	}
	p.RawProperties = props.AppendMessageID(make([]byte, 0, len(p.RawProperties)+48), p.RawProperties, x.link.client.MessageID())
	return nil
}

// aged subtracts the time that a message has waited here from its expiration. expired is
// true if nothing is left.
func aged(raw []byte, waited time.Duration) (_ []byte, expired bool) {
	if len(raw) < 2 || binary.BigEndian.Uint16(raw)&amqpproto.FlagExpiration == 0 {
		return raw, false
	}
	var props amqpproto.Properties
	if _, err := props.Decode(raw); err != nil {
		return raw, false // the client will report the error
	}
	ms, err := strconv.ParseInt(string(props.Expiration), 10, 64)
	if err != nil || ms == 0 { // 0 delivers only to a consumer that is waiting, which the broker decides
		return raw, false
	}
	left := ms - waited.Milliseconds()
	if left <= 0 {
		return nil, true
	}
	props.Expiration = strconv.AppendInt(nil, left, 10)
	aged, err := props.Append(nil)
	if err != nil {
		return raw, false
	}
	return aged, false
}
