package amqpproto

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Method is one method of AMQP. The structs of method_gen.go implement it, by
// pointer; reserved arguments are sent as zeros and have no field.
type Method interface {
	// ID returns the method's class and number.
	ID() MethodID
	// AppendArgs appends the arguments, without the id and the frame. It fails
	// with an EncodeError, and dst as it was, if a string or table is too long.
	AppendArgs(dst []byte) ([]byte, error)
	// DecodeArgs reads the arguments. []byte and RawTable fields become views into args.
	// The inside of a table is not checked: RawTable's methods return its errors. Too few
	// or too many octets are a ConnectionError 501, and then the fields are undefined.
	DecodeArgs(args []byte) error
}

// MethodID is class<<16 | method. Its zero value is no method.
type MethodID uint32

// methodInfo is what the method table says about a method besides its arguments.
type methodInfo struct {
	name                   string
	fromClient, fromServer bool
	replies                []MethodID
}

// NewMethodID joins the two numbers, as close methods carry them.
func NewMethodID(class, method uint16) MethodID { return MethodID(class)<<16 | MethodID(method) }

// Class returns the class number.
func (id MethodID) Class() uint16 { return uint16(id >> 16) }

// Method returns the method's number in its class.
func (id MethodID) Method() uint16 { return uint16(id) }

// String returns the name in the specification's words, "basic.deliver", or the
// numbers of an unknown method.
func (id MethodID) String() string {
	if info := id.info(); info != nil {
		return info.name
	}
	return fmt.Sprintf("method(%d,%d)", id.Class(), id.Method())
}

// Known reports whether the method exists.
func (id MethodID) Known() bool { return id.info() != nil }

// FromClient reports whether a client may send the method.
func (id MethodID) FromClient() bool { info := id.info(); return info != nil && info.fromClient }

// FromServer reports whether a server may send the method.
func (id MethodID) FromServer() bool { info := id.info(); return info != nil && info.fromServer }

// Replies returns the methods that answer this one, nil if it is not
// synchronous. The slice is shared: do not change it.
func (id MethodID) Replies() []MethodID {
	if info := id.info(); info != nil {
		return info.replies
	}
	return nil
}

// Answers reports whether id is a reply to request.
func (id MethodID) Answers(request MethodID) bool { return slices.Contains(request.Replies(), id) }

// SplitMethod splits the payload of a method frame into the method's id and
// its arguments, a view. The id may be unknown. Less than four octets are a
// ConnectionError 501. AMQP 0-9-1 §4.2.4.
func SplitMethod(payload []byte) (id MethodID, args []byte, err error) {
	if len(payload) < 4 {
		return 0, nil, frameError("method frame of %d octets has no method id", len(payload))
	}
	return MethodID(binary.BigEndian.Uint32(payload)), payload[4:], nil
}

// DecodeMethod decodes the payload of a method frame into a new struct, whose
// fields are views. It allocates: hot paths use SplitMethod and a struct of
// their own. An unknown class is a ConnectionError 540, an unknown method of a
// known class a 503.
func DecodeMethod(payload []byte) (Method, error) {
	id, args, err := SplitMethod(payload)
	if err != nil {
		return nil, err
	}
	m := newMethod(id)
	if m == nil {
		return nil, UnknownMethod(id)
	}
	if err := m.DecodeArgs(args); err != nil {
		return nil, err
	}
	return m, nil
}

// UnknownMethod returns the ConnectionError for an id that no method has.
func UnknownMethod(id MethodID) *ConnectionError {
	if !knownClass(id.Class()) {
		return &ConnectionError{Code: NotImplemented, Text: fmt.Sprintf("class %d is unknown", id.Class()), Method: id}
	}
	return &ConnectionError{Code: CommandInvalid, Text: "method is unknown", Method: id}
}

// AppendMethod appends one whole method frame. On an EncodeError dst comes back
// as it was.
func AppendMethod(dst []byte, channel uint16, m Method) ([]byte, error) {
	start := len(dst)
	dst = appendFrameHead(dst, FrameMethod, channel, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.ID()))
	dst, err := m.AppendArgs(dst)
	if err != nil {
		return dst[:start], err
	}
	return finishFrame(dst, start), nil
}
