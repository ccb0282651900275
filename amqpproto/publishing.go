package amqpproto

import (
	"encoding/binary"

	"github.com/streadway/amqp"
)

// Conversion of properties to and from the types of github.com/streadway/amqp. There, an
// empty string, a zero number and a zero time mean that the property is absent, and
// cluster-id does not exist.

// SetPublishing replaces p by the properties of pub, as copies. The error is an
// EncodeError about the headers table; over-long strings are found by Append.
// To publish, AppendPublishing does the same without the copies.
func (p *Properties) SetPublishing(pub amqp.Publishing) error {
	var headers []byte
	if len(pub.Headers) > 0 {
		var err error
		if headers, err = AppendTable(nil, pub.Headers); err != nil {
			return err
		}
	}
	*p = Properties{
		ContentType: []byte(pub.ContentType), ContentEncoding: []byte(pub.ContentEncoding), Headers: headers,
		DeliveryMode: pub.DeliveryMode, Priority: pub.Priority,
		CorrelationID: []byte(pub.CorrelationId), ReplyTo: []byte(pub.ReplyTo), Expiration: []byte(pub.Expiration),
		MessageID: []byte(pub.MessageId), Type: []byte(pub.Type), UserID: []byte(pub.UserId), AppID: []byte(pub.AppId),
	}
	p.SetFlags()
	if !pub.Timestamp.IsZero() {
		p.Timestamp = uint64(pub.Timestamp.Unix())
		p.Flags |= FlagTimestamp // 1970 itself is zero
	}
	return nil
}

// Publishing returns the properties as copies, without a body. The error is a
// ConnectionError 502 from the headers table. A headers table that is there but
// empty becomes an empty Table.
func (p *Properties) Publishing() (amqp.Publishing, error) {
	pub := amqp.Publishing{
		ContentType: string(p.ContentType), ContentEncoding: string(p.ContentEncoding),
		DeliveryMode: p.DeliveryMode, Priority: p.Priority,
		CorrelationId: string(p.CorrelationID), ReplyTo: string(p.ReplyTo), Expiration: string(p.Expiration),
		MessageId: string(p.MessageID), Type: string(p.Type), UserId: string(p.UserID), AppId: string(p.AppID),
	}
	if p.Has(FlagTimestamp) {
		pub.Timestamp = timestamp(p.Timestamp)
	}
	if p.Has(FlagHeaders) {
		var err error
		if pub.Headers, err = p.Headers.Table(); err != nil {
			return amqp.Publishing{}, err
		}
	}
	return pub, nil
}

// SetDelivery fills the property fields of d, as copies, and leaves its other
// fields alone. The error is Publishing's; then d is as it was.
func (p *Properties) SetDelivery(d *amqp.Delivery) error {
	pub, err := p.Publishing()
	if err != nil {
		return err
	}
	d.Headers = pub.Headers
	d.ContentType, d.ContentEncoding = pub.ContentType, pub.ContentEncoding
	d.DeliveryMode, d.Priority = pub.DeliveryMode, pub.Priority
	d.CorrelationId, d.ReplyTo, d.Expiration = pub.CorrelationId, pub.ReplyTo, pub.Expiration
	d.MessageId, d.Timestamp, d.Type = pub.MessageId, pub.Timestamp, pub.Type
	d.UserId, d.AppId = pub.UserId, pub.AppId
	return nil
}

// AppendPublishing appends pub's properties, flags and values, as a content
// header carries them, and allocates nothing for a table of up to 16 fields.
// Errors are EncodeErrors, and leave dst as it was. pub.Body is not touched.
func AppendPublishing(dst []byte, pub *amqp.Publishing) ([]byte, error) {
	if err := checkPublishing(pub); err != nil {
		return dst, err
	}
	start := len(dst)
	flags := publishingFlags(pub)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = appendShort(dst, pub.ContentType, flags&FlagContentType)
	dst = appendShort(dst, pub.ContentEncoding, flags&FlagContentEncoding)
	if flags&FlagHeaders != 0 {
		at := len(dst)
		out, err := AppendTable(append(dst, 0, 0, 0, 0), pub.Headers)
		if err != nil {
			return dst[:start], err
		}
		dst = out
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	if flags&FlagDeliveryMode != 0 {
		dst = append(dst, pub.DeliveryMode)
	}
	if flags&FlagPriority != 0 {
		dst = append(dst, pub.Priority)
	}
	dst = appendShort(dst, pub.CorrelationId, flags&FlagCorrelationID)
	dst = appendShort(dst, pub.ReplyTo, flags&FlagReplyTo)
	dst = appendShort(dst, pub.Expiration, flags&FlagExpiration)
	dst = appendShort(dst, pub.MessageId, flags&FlagMessageID)
	if flags&FlagTimestamp != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(pub.Timestamp.Unix()))
	}
	dst = appendShort(dst, pub.Type, flags&FlagType)
	dst = appendShort(dst, pub.UserId, flags&FlagUserID)
	return appendShort(dst, pub.AppId, flags&FlagAppID), nil
}

// publishingShorts lists the short strings of a Publishing with their flags.
func publishingShorts(pub *amqp.Publishing) [9]struct {
	flag        uint16
	name, value string
} {
	return [...]struct {
		flag        uint16
		name, value string
	}{
		{FlagContentType, "content-type", pub.ContentType},
		{FlagContentEncoding, "content-encoding", pub.ContentEncoding},
		{FlagCorrelationID, "correlation-id", pub.CorrelationId},
		{FlagReplyTo, "reply-to", pub.ReplyTo},
		{FlagExpiration, "expiration", pub.Expiration},
		{FlagMessageID, "message-id", pub.MessageId},
		{FlagType, "type", pub.Type},
		{FlagUserID, "user-id", pub.UserId},
		{FlagAppID, "app-id", pub.AppId},
	}
}

func checkPublishing(pub *amqp.Publishing) error {
	for _, s := range publishingShorts(pub) {
		if len(s.value) > ShortstrMax {
			return &EncodeError{"property " + s.name, tooLong(len(s.value), ShortstrMax)}
		}
	}
	return nil
}

// publishingFlags are the properties of pub that are not empty or zero.
func publishingFlags(pub *amqp.Publishing) (flags uint16) {
	for _, s := range publishingShorts(pub) {
		if s.value != "" {
			flags |= s.flag
		}
	}
	if len(pub.Headers) > 0 {
		flags |= FlagHeaders
	}
	if pub.DeliveryMode != 0 {
		flags |= FlagDeliveryMode
	}
	if pub.Priority != 0 {
		flags |= FlagPriority
	}
	if !pub.Timestamp.IsZero() {
		flags |= FlagTimestamp
	}
	return flags
}
