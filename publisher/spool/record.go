package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto/journal"
)

// A record begins with an octet for its type. Numbers are unsigned varints. A text follows
// its length.
const (
	recordGroup    = 'G' // number of the first message, time in ms, how many, messages
	recordState    = 'S' // number of the first message that has not left
	recordRejected = 'A' // number, time in ms, reason, message
	recordGone     = 'D' // number of a message that is no longer among the rejected ones
)

// Message is one publish.
type Message struct {
	Producer             string // name of the producer; "" for none
	Exchange, RoutingKey string
	Mandatory            bool
	RawProperties        []byte // flags and values as on the wire
	Body                 []byte
}

// MessageCost is what a message takes besides its octets: the framing of records, and the
// memory for the call that waits for it.
const MessageCost = 64

// Size returns how many octets of Options.Max the message uses.
func (m *Message) Size() int64 {
	return MessageCost + int64(len(m.Producer)+len(m.Exchange)+len(m.RoutingKey)+len(m.RawProperties)+len(m.Body))
}

const flagMandatory = 1

// largeBody is the length above which a body is not copied into its record but written from
// where it is. To copy a hundred megabytes would hold the owner's thread.
const largeBody = 1 << 20

// An encoder makes a record. Its buffer is used again.
type encoder struct {
	octets []byte // all but the large bodies
	large  []largePart
	pieces []journal.Piece // scratch
}

// A largePart is a large body and its position among the other octets.
type largePart struct {
	at   int
	body []byte
}

// encoderKeep is the size up to which a buffer for records is kept.
const encoderKeep = 1 << 20

// appendTo gives the record to a journal. lent is the number of octets that must not change
// until the record is on disk.
func (e *encoder) appendTo(j *journal.Journal) (seq uint64, lent int64) {
	if len(e.large) == 0 {
		seq = j.Append(e.octets)
	} else {
		from := 0
		for _, l := range e.large {
			e.pieces = append(e.pieces, journal.Piece{Octets: e.octets[from:l.at]}, journal.Piece{Octets: l.body, Lent: true})
			from = l.at
			lent += int64(len(l.body))
		}
		e.pieces = append(e.pieces, journal.Piece{Octets: e.octets[from:]})
		seq = j.AppendPieces(e.pieces)
		clear(e.large)
		clear(e.pieces)
	}
	e.octets, e.large, e.pieces = e.octets[:0], e.large[:0], e.pieces[:0]
	if cap(e.octets) > encoderKeep {
		e.octets = nil
	}
	return seq, lent
}

func (e *encoder) message(m *Message) {
	var flags byte
	if m.Mandatory {
		flags |= flagMandatory
	}
	dst := append(e.octets, flags)
	dst = appendText(dst, m.Producer)
	dst = appendText(dst, m.Exchange)
	dst = appendText(dst, m.RoutingKey)
	dst = appendText(dst, m.RawProperties)
	if len(m.Body) <= largeBody {
		e.octets = appendText(dst, m.Body)
		return
	}
	e.octets = binary.AppendUvarint(dst, uint64(len(m.Body)))
	e.large = append(e.large, largePart{len(e.octets), m.Body})
}

func appendText[T string | []byte](dst []byte, text T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// errRecord is the error of a record whose checksum is right but which this version does not
// understand.
var errRecord = errors.New("a record that this version does not know: was the directory written by a newer version?")

// A scanner decodes a record. After an error, all values that it returns are empty.
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

// text returns a view of the record.
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

// message returns a message whose octets are views of the record.
func (s *scanner) message() (m Message) {
	m.Mandatory = s.octet()&flagMandatory != 0
	m.Producer, m.Exchange, m.RoutingKey = string(s.text()), string(s.text()), string(s.text())
	m.RawProperties, m.Body = s.text(), s.text()
	return m
}

// end returns the error of the whole scan.
func (s *scanner) end() error {
	if s.bad || len(s.rest) > 0 {
		return errRecord
	}
	return nil
}

// group holds the head of a recordGroup.
type group struct {
	first uint64
	at    time.Time
	count uint64
}

func (e *encoder) group(g group, messages []Message) {
	e.octets = append(e.octets, recordGroup)
	e.octets = binary.AppendUvarint(e.octets, g.first)
	e.octets = binary.AppendUvarint(e.octets, uint64(g.at.UnixMilli()))
	e.octets = binary.AppendUvarint(e.octets, uint64(len(messages)))
	for i := range messages {
		e.message(&messages[i])
	}
}

// scanGroup reads a recordGroup after its first octet, and calls each for its messages.
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

// Rejected is a message that the broker refused, with the broker's reason.
type Rejected struct {
	Number uint64
	Since  time.Time
	Reason string
	Message
}

func (e *encoder) rejected(a *Rejected) {
	e.octets = append(e.octets, recordRejected)
	e.octets = binary.AppendUvarint(e.octets, a.Number)
	e.octets = binary.AppendUvarint(e.octets, uint64(a.Since.UnixMilli()))
	e.octets = appendText(e.octets, a.Reason)
	e.message(&a.Message)
}

func scanRejected(rest []byte) (a Rejected, err error) {
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

// unknown returns the error for a record of an unknown type.
func unknown(rec []byte) error {
	if len(rec) == 0 {
		return errRecord
	}
	return fmt.Errorf("%w (kind %q)", errRecord, rec[0])
}
