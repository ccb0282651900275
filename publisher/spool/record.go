package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Records begin with an octet that says what they are. Numbers are unsigned
// varints, texts have their length before them.
const (
	recordGroup = 'G' // number of the first message, time in ms, how many, messages
	recordState = 'S' // number of the first message that has not left
	recordAside = 'A' // number, time in ms, reason, message
	recordGone  = 'D' // number of a message that is not aside any more
)

// Message is one publish.
type Message struct {
	Producer             string // name of the producer; "" for none
	Exchange, RoutingKey string
	Mandatory            bool
	RawProperties        []byte // flags and values as on the wire
	Body                 []byte
}

// MessageCost is what a message takes besides its octets: frames of records, and
// the memory of who waits for it.
const MessageCost = 64

// Size is what the message counts against Options.Max, in octets.
func (m *Message) Size() int64 {
	return MessageCost + int64(len(m.Producer)+len(m.Exchange)+len(m.RoutingKey)+len(m.RawProperties)+len(m.Body))
}

const flagMandatory = 1

func (m *Message) append(dst []byte) []byte {
	var flags byte
	if m.Mandatory {
		flags |= flagMandatory
	}
	dst = append(dst, flags)
	dst = appendText(dst, m.Producer)
	dst = appendText(dst, m.Exchange)
	dst = appendText(dst, m.RoutingKey)
	dst = appendText(dst, m.RawProperties)
	return appendText(dst, m.Body)
}

func appendText[T string | []byte](dst []byte, text T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// errRecord is the error of a record that is whole, by its checksum, and says
// nothing that this version understands.
var errRecord = errors.New("a record that is none of this version's: was the directory written by a newer one?")

// scanner takes a record apart; after a mistake everything is empty.
type scanner struct {
	rest []byte
	bad  bool
}

func (s *scanner) number() uint64 {
	n, size := binary.Uvarint(s.rest)
	if size <= 0 {
		s.rest, s.bad = nil, true
		return 0
	}
	s.rest = s.rest[size:]
	return n
}

func (s *scanner) octet() byte {
	if len(s.rest) == 0 {
		s.bad = true
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// text is a view.
func (s *scanner) text() []byte {
	n := s.number()
	if n > uint64(len(s.rest)) {
		s.rest, s.bad = nil, true
		return nil
	}
	text := s.rest[:n:n]
	s.rest = s.rest[n:]
	return text
}

// message has views of the record for its octets.
func (s *scanner) message() (m Message) {
	m.Mandatory = s.octet()&flagMandatory != 0
	m.Producer, m.Exchange, m.RoutingKey = string(s.text()), string(s.text()), string(s.text())
	m.RawProperties, m.Body = s.text(), s.text()
	return m
}

// end is the error of the whole scan.
func (s *scanner) end() error {
	if s.bad || len(s.rest) > 0 {
		return errRecord
	}
	return nil
}

// group is the head of a recordGroup.
type group struct {
	first uint64
	at    time.Time
	count uint64
}

func appendGroup(dst []byte, g group, messages []Message) []byte {
	dst = append(dst, recordGroup)
	dst = binary.AppendUvarint(dst, g.first)
	dst = binary.AppendUvarint(dst, uint64(g.at.UnixMilli()))
	dst = binary.AppendUvarint(dst, uint64(len(messages)))
	for i := range messages {
		dst = messages[i].append(dst)
	}
	return dst
}

// scanGroup reads a recordGroup behind its first octet, and tells each message.
func scanGroup(rest []byte, each func(g group, number uint64, m Message)) error {
	s := scanner{rest: rest}
	g := group{first: s.number(), at: time.UnixMilli(int64(s.number())), count: s.number()}
	if g.count > uint64(len(s.rest)) {
		return errRecord
	}
	messages := make([]Message, 0, g.count)
	for range g.count {
		messages = append(messages, s.message())
	}
	if err := s.end(); err != nil {
		return err
	}
	for i, m := range messages {
		each(g, g.first+uint64(i), m)
	}
	return nil
}

// Aside is a message that the broker would not have.
type Aside struct {
	Number uint64
	Since  time.Time
	Reason string
	Message
}

func (a *Aside) append(dst []byte) []byte {
	dst = append(dst, recordAside)
	dst = binary.AppendUvarint(dst, a.Number)
	dst = binary.AppendUvarint(dst, uint64(a.Since.UnixMilli()))
	dst = appendText(dst, a.Reason)
	return a.Message.append(dst)
}

func scanAside(rest []byte) (a Aside, err error) {
	s := scanner{rest: rest}
	a.Number, a.Since, a.Reason = s.number(), time.UnixMilli(int64(s.number())), string(s.text())
	a.Message = s.message()
	return a, s.end()
}

func appendNumber(dst []byte, kind byte, n uint64) []byte {
	return binary.AppendUvarint(append(dst, kind), n)
}

func scanNumber(rest []byte) (uint64, error) {
	s := scanner{rest: rest}
	n := s.number()
	return n, s.end()
}

// unknown is the error of a record of another kind.
func unknown(rec []byte) error {
	if len(rec) == 0 {
		return errRecord
	}
	return fmt.Errorf("%w (kind %q)", errRecord, rec[0])
}
