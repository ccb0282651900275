package amqpdoor

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// messageIDs gives ids to publishes that have none, so that a receiver can tell
// when one comes twice.
type messageIDs struct {
	prefix string // of this process
	last   uint64
}

func newMessageIDs() messageIDs { return messageIDs{prefix: rand.Text()[:16] + "-"} }

// give sets the id of a publish, if it has none.
func (m *messageIDs) give(p *publisher.Publication) error {
	if len(p.RawProperties) >= 2 && binary.BigEndian.Uint16(p.RawProperties)&amqpproto.FlagMessageID != 0 {
		return nil
	}
	var props amqpproto.Properties
	if len(p.RawProperties) > 0 {
		if _, err := props.Decode(p.RawProperties); err != nil {
			return err
		}
	}
	m.last++
	id := make([]byte, 0, 40)
	props.MessageID = strconv.AppendUint(append(id, m.prefix...), m.last, 10)
	props.Flags |= amqpproto.FlagMessageID
	raw, err := props.Append(make([]byte, 0, len(p.RawProperties)+48))
	if err == nil {
		p.RawProperties = raw
	}
	return err
}

// aged takes the time that a message has waited here from its expiration. expired
// says that nothing is left of it.
func aged(raw []byte, waited time.Duration) (_ []byte, expired bool) {
	if len(raw) < 2 || binary.BigEndian.Uint16(raw)&amqpproto.FlagExpiration == 0 {
		return raw, false
	}
	var props amqpproto.Properties
	if _, err := props.Decode(raw); err != nil {
		return raw, false // the client will say so
	}
	ms, err := strconv.ParseInt(string(props.Expiration), 10, 64)
	if err != nil || ms == 0 { // 0 is for a consumer that waits; the broker decides
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
