package publisher

import "fmt"

// SelfEncoding returns a codec for values that encode themselves, such as protocol
// buffers. Register it with its names. marshal and unmarshal do the work. Where one
// of them is nil, the value's own method is called: Marshal, MarshalVT or
// MarshalBinary, which return the octets and an error; Unmarshal, UnmarshalVT or
// UnmarshalBinary, which take the octets.
//
//	publisher.RegisterCodec(publisher.SelfEncoding("application/x-protobuf",
//		func(v any) ([]byte, error) { return proto.Marshal(v.(proto.Message)) },
//		func(b []byte, v any) error { return proto.Unmarshal(b, v.(proto.Message)) }), "protobuf")
func SelfEncoding(contentType string, marshal func(v any) ([]byte, error), unmarshal func(b []byte, v any) error) Codec {
	c := &selfEncoding{contentType, marshal, unmarshal}
	if c.marshal == nil {
		c.marshal = c.ownMarshal
	}
	if c.unmarshal == nil {
		c.unmarshal = c.ownUnmarshal
	}
	return c
}

type selfEncoding struct {
	contentType string
	marshal     func(v any) ([]byte, error)
	unmarshal   func(b []byte, v any) error
}

func (c *selfEncoding) ContentType() string { return c.contentType }

func (c *selfEncoding) Append(dst []byte, v any) ([]byte, error) {
	b, err := c.marshal(v)
	return append(dst, b...), err
}

func (c *selfEncoding) Decode(b []byte, v any) error { return c.unmarshal(b, v) }

func (c *selfEncoding) ownMarshal(v any) ([]byte, error) {
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

func (c *selfEncoding) ownUnmarshal(b []byte, v any) error {
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
