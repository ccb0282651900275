package publisher

import "fmt"

// OwnCodec returns a codec for values that encode themselves, to be registered
// with its names; protocol buffers and the like. marshal and unmarshal say how;
// where one is nil the value's own method is called: Marshal, MarshalVT or
// MarshalBinary, which return the octets and an error, and Unmarshal, UnmarshalVT
// or UnmarshalBinary, which take the octets.
//
//	publisher.RegisterCodec(publisher.OwnCodec("application/x-protobuf",
//		func(v any) ([]byte, error) { return proto.Marshal(v.(proto.Message)) },
//		func(b []byte, v any) error { return proto.Unmarshal(b, v.(proto.Message)) }), "protobuf")
func OwnCodec(contentType string, marshal func(v any) ([]byte, error), unmarshal func(b []byte, v any) error) Codec {
	c := &ownCodec{contentType, marshal, unmarshal}
	if c.marshal == nil {
		c.marshal = c.ownMarshal
	}
	if c.unmarshal == nil {
		c.unmarshal = c.ownUnmarshal
	}
	return c
}

type ownCodec struct {
	contentType string
	marshal     func(v any) ([]byte, error)
	unmarshal   func(b []byte, v any) error
}

func (c *ownCodec) ContentType() string { return c.contentType }

func (c *ownCodec) Append(dst []byte, v any) ([]byte, error) {
	b, err := c.marshal(v)
	return append(dst, b...), err
}

func (c *ownCodec) Decode(b []byte, v any) error { return c.unmarshal(b, v) }

func (c *ownCodec) ownMarshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case interface{ MarshalVT() ([]byte, error) }:
		return v.MarshalVT()
	case interface{ Marshal() ([]byte, error) }:
		return v.Marshal()
	case interface{ MarshalBinary() ([]byte, error) }:
		return v.MarshalBinary()
	}
	return nil, fmt.Errorf("%s: a %T has no Marshal, MarshalVT or MarshalBinary", c.contentType, v)
}

func (c *ownCodec) ownUnmarshal(b []byte, v any) error {
	switch v := v.(type) {
	case interface{ UnmarshalVT([]byte) error }:
		return v.UnmarshalVT(b)
	case interface{ Unmarshal([]byte) error }:
		return v.Unmarshal(b)
	case interface{ UnmarshalBinary([]byte) error }:
		return v.UnmarshalBinary(b)
	}
	return fmt.Errorf("%s: a %T has no Unmarshal, UnmarshalVT or UnmarshalBinary", c.contentType, v)
}
