package amqpproto

import "encoding/binary"

// Property flags, as on the wire: bit 15 is the first property. AMQP 0-9-1
// §4.2.6.1. Bit 1 is unused, bit 0 would announce a second word of flags, which
// class basic does not have.
const (
	FlagContentType uint16 = 1 << (15 - iota)
	FlagContentEncoding
	FlagHeaders
	FlagDeliveryMode
	FlagPriority
	FlagCorrelationID
	FlagReplyTo
	FlagExpiration
	FlagMessageID
	FlagTimestamp
	FlagType
	FlagUserID
	FlagAppID
	FlagClusterID // reserved in 0-9-1; RabbitMQ and its clients carry it
)

const flagsUnknown uint16 = 3

// Properties are the fourteen properties of class basic. A property is present if its
// flag is set, whatever its value is; see SetFlags. Strings and Headers are views.
type Properties struct {
	Flags           uint16
	ContentType     []byte
	ContentEncoding []byte
	Headers         RawTable // not validated
	DeliveryMode    uint8    // 1 transient, 2 persistent
	Priority        uint8
	CorrelationID   []byte
	ReplyTo         []byte
	Expiration      []byte // milliseconds in decimal
	MessageID       []byte
	Timestamp       uint64 // seconds since 1970
	Type            []byte
	UserID          []byte
	AppID           []byte
	ClusterID       []byte
}

// Has reports whether the property with that flag is present.
func (p *Properties) Has(flag uint16) bool { return p.Flags&flag != 0 }

// shortFlags are the properties that are short strings, in wire order. Other properties
// come between some of them.
const (
	flagsBeforeHeaders  = FlagContentType | FlagContentEncoding
	flagsBeforeTime     = FlagCorrelationID | FlagReplyTo | FlagExpiration | FlagMessageID
	flagsAfterTime      = FlagType | FlagUserID | FlagAppID | FlagClusterID
	flagsFixedOrHeaders = FlagHeaders | FlagDeliveryMode | FlagPriority
)

// Decode reads properties from b, which begins at the flags, and returns what follows
// them; in a content header nothing should follow. It replaces all of p. Errors are
// ConnectionErrors 502. (RabbitMQ passes properties on without reading them, so the
// error is the publisher's. A consumer should refuse only that message, not end the
// connection.)
func (p *Properties) Decode(b []byte) (rest []byte, err error) {
	*p = Properties{}
	if len(b) < 2 {
		return b, syntaxError("properties: the flags are cut short")
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&flagsUnknown != 0 {
		// Ignoring bit 0 would misread the second word of flags as a value.
		return b, syntaxError("properties: flags 0x%04x have bits that class basic does not", flags)
	}
	p.Flags = flags
	b = b[2:]
	ok := true
	if flags&flagsBeforeHeaders != 0 {
		b, ok = cutShort(&p.ContentType, b, flags&FlagContentType, ok)
		b, ok = cutShort(&p.ContentEncoding, b, flags&FlagContentEncoding, ok)
	}
	if flags&flagsFixedOrHeaders != 0 && ok {
		b, ok = p.cutMiddle(b)
	}
	if flags&flagsBeforeTime != 0 {
		b, ok = cutShort(&p.CorrelationID, b, flags&FlagCorrelationID, ok)
		b, ok = cutShort(&p.ReplyTo, b, flags&FlagReplyTo, ok)
		b, ok = cutShort(&p.Expiration, b, flags&FlagExpiration, ok)
		b, ok = cutShort(&p.MessageID, b, flags&FlagMessageID, ok)
	}
	if flags&FlagTimestamp != 0 && ok {
		if ok = len(b) >= 8; ok {
			p.Timestamp = binary.BigEndian.Uint64(b)
			b = b[8:]
		}
	}
	if flags&flagsAfterTime != 0 {
		b, ok = cutShort(&p.Type, b, flags&FlagType, ok)
		b, ok = cutShort(&p.UserID, b, flags&FlagUserID, ok)
		b, ok = cutShort(&p.AppID, b, flags&FlagAppID, ok)
		b, ok = cutShort(&p.ClusterID, b, flags&FlagClusterID, ok)
	}
	if !ok {
		return b, syntaxError("properties: the values of flags 0x%04x are cut short", flags)
	}
	return b, nil
}

// cutShort cuts a short string property into dst if its flag is set and there was no
// error before.
func cutShort(dst *[]byte, b []byte, flag uint16, ok bool) ([]byte, bool) {
	if flag == 0 || !ok {
		return b, ok
	}
	*dst, b, ok = cutShortstr(b)
	return b, ok
}

// cutMiddle cuts headers, delivery mode and priority.
func (p *Properties) cutMiddle(b []byte) (rest []byte, ok bool) {
	if p.Flags&FlagHeaders != 0 {
		var table []byte
		if table, b, ok = cutLongstr(b); !ok {
			return b, false
		}
		p.Headers = table
	}
	if p.Flags&FlagDeliveryMode != 0 {
		if len(b) < 1 {
			return b, false
		}
		p.DeliveryMode, b = b[0], b[1:]
	}
	if p.Flags&FlagPriority != 0 {
		if len(b) < 1 {
			return b, false
		}
		p.Priority, b = b[0], b[1:]
	}
	return b, true
}

// SetFlags sets Flags to the properties that are not empty or zero, for
// properties that were filled field by field.
func (p *Properties) SetFlags() {
	p.Flags = 0
	for _, s := range p.shorts() {
		if len(*s.value) > 0 {
			p.Flags |= s.flag
		}
	}
	if len(p.Headers) > 0 {
		p.Flags |= FlagHeaders
	}
	if p.DeliveryMode != 0 {
		p.Flags |= FlagDeliveryMode
	}
	if p.Priority != 0 {
		p.Flags |= FlagPriority
	}
	if p.Timestamp != 0 {
		p.Flags |= FlagTimestamp
	}
}

// shortProperty is one property that is a short string.
type shortProperty struct {
	flag  uint16
	name  string
	value *[]byte
}

// shorts lists the short string properties in wire order.
func (p *Properties) shorts() [10]shortProperty {
	return [10]shortProperty{
		{FlagContentType, "content-type", &p.ContentType},
		{FlagContentEncoding, "content-encoding", &p.ContentEncoding},
		{FlagCorrelationID, "correlation-id", &p.CorrelationID},
		{FlagReplyTo, "reply-to", &p.ReplyTo},
		{FlagExpiration, "expiration", &p.Expiration},
		{FlagMessageID, "message-id", &p.MessageID},
		{FlagType, "type", &p.Type},
		{FlagUserID, "user-id", &p.UserID},
		{FlagAppID, "app-id", &p.AppID},
		{FlagClusterID, "cluster-id", &p.ClusterID},
	}
}

// Append appends flags and values. It fails with an EncodeError, and dst as it
// was, if a string is over ShortstrMax, the headers are over 4 GiB, or Flags
// has a bit that class basic does not. Headers are not looked into.
func (p *Properties) Append(dst []byte) ([]byte, error) {
	if p.Flags&flagsUnknown != 0 {
		return dst, &EncodeError{"properties", "flags have bits that class basic does not"}
	}
	for _, s := range p.shorts() {
		if p.Flags&s.flag != 0 && len(*s.value) > ShortstrMax {
			return dst, &EncodeError{"property " + s.name, tooLong(len(*s.value), ShortstrMax)}
		}
	}
	if uint64(len(p.Headers)) > longMax {
		return dst, &EncodeError{"property headers", tooLong(len(p.Headers), longMax)}
	}
	dst = binary.BigEndian.AppendUint16(dst, p.Flags)
	dst = appendShort(dst, p.ContentType, p.Flags&FlagContentType)
	dst = appendShort(dst, p.ContentEncoding, p.Flags&FlagContentEncoding)
	if p.Flags&FlagHeaders != 0 {
		dst = appendLongstr(dst, p.Headers)
	}
	if p.Flags&FlagDeliveryMode != 0 {
		dst = append(dst, p.DeliveryMode)
	}
	if p.Flags&FlagPriority != 0 {
		dst = append(dst, p.Priority)
	}
	dst = appendShort(dst, p.CorrelationID, p.Flags&FlagCorrelationID)
	dst = appendShort(dst, p.ReplyTo, p.Flags&FlagReplyTo)
	dst = appendShort(dst, p.Expiration, p.Flags&FlagExpiration)
	dst = appendShort(dst, p.MessageID, p.Flags&FlagMessageID)
	if p.Flags&FlagTimestamp != 0 {
		dst = binary.BigEndian.AppendUint64(dst, p.Timestamp)
	}
	dst = appendShort(dst, p.Type, p.Flags&FlagType)
	dst = appendShort(dst, p.UserID, p.Flags&FlagUserID)
	dst = appendShort(dst, p.AppID, p.Flags&FlagAppID)
	return appendShort(dst, p.ClusterID, p.Flags&FlagClusterID), nil
}

// appendShort appends a short string property if its flag is set.
func appendShort[T string | []byte](dst []byte, s T, flag uint16) []byte {
	if flag == 0 {
		return dst
	}
	return appendShortstr(dst, s)
}

// AppendMessageID appends raw with a message id added, which has at most ShortstrMax
// octets. p was decoded from raw, and raw has no message id. Nothing else is encoded
// again. An empty raw means no properties.
func (p *Properties) AppendMessageID(dst, raw, id []byte) []byte {
	flags := FlagMessageID
	at := 0
	if len(raw) > 0 {
		flags |= binary.BigEndian.Uint16(raw)
		at = len(raw) - p.behindMessageID()
	}
	dst = binary.BigEndian.AppendUint16(dst, flags)
	if at > 2 {
		dst = append(dst, raw[2:at]...)
	}
	dst = append(append(dst, byte(len(id))), id...)
	return append(dst, raw[at:]...)
}

// behindMessageID returns how many octets follow the position of the message id.
func (p *Properties) behindMessageID() (n int) {
	if p.Flags&FlagTimestamp != 0 {
		n = 8
	}
	if p.Flags&flagsAfterTime == 0 {
		return n
	}
	if p.Flags&FlagType != 0 {
		n += 1 + len(p.Type)
	}
	if p.Flags&FlagUserID != 0 {
		n += 1 + len(p.UserID)
	}
	if p.Flags&FlagAppID != 0 {
		n += 1 + len(p.AppID)
	}
	if p.Flags&FlagClusterID != 0 {
		n += 1 + len(p.ClusterID)
	}
	return n
}
