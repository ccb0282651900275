package publisher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An Event is what a client gets: over a stream of server-sent events ([Request.Events]), or
// from a topic ([Request.Broadcast]).
type Event struct {
	// ID names the event. A client that comes back says the ID of its last event, and gets the
	// events that it has missed. A topic gives an event without an ID one.
	ID string
	// Name is the type of the event; "" is "message" for the client.
	Name string
	// Data is a string or a []byte, sent as they are, or another value, sent as JSON. nil with a
	// Name is empty data. In a stream of server-sent events it must be text in UTF-8.
	Data any
	// Retry tells the client how long to wait before it connects again; 0 does not. Topics
	// ignore it.
	Retry time.Duration
}

// check returns an error if the event cannot be sent.
func (e *Event) check() error {
	switch {
	case strings.ContainsAny(e.ID, "\r\n\x00"):
		return errors.New("event: the ID has a line end or a NUL")
	case strings.ContainsAny(e.Name, "\r\n"):
		return errors.New("event: the name has a line end")
	case !utf8.ValidString(e.ID) || !utf8.ValidString(e.Name):
		return errors.New("event: ID and name are text in UTF-8")
	case e.Retry < 0:
		return errors.New("event: Retry is negative")
	}
	return nil
}

// encode checks the event and encodes its data. The result shares no memory with it.
func (e Event) encode() (*topicEvent, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	data, contentType, err := e.encodeData()
	if err != nil {
		return nil, err
	}
	if given, is := e.Data.([]byte); is {
		data = bytes.Clone(given)
	}
	made := &topicEvent{Event: e, hasData: e.Data != nil, data: data, contentType: contentType}
	made.Data = made.data // for filters; the caller may change what it gave
	made.octets = len(made.data) + len(e.ID) + len(e.Name) + eventOverhead
	return made, nil
}

// encodeData encodes the data. The octets of a string or a []byte are those that the event has.
func (e *Event) encodeData() (octets []byte, contentType string, err error) {
	switch data := e.Data.(type) {
	case nil:
		return nil, "", nil
	case string:
		return view(data), "text/plain; charset=utf-8", nil
	case []byte:
		return data, "application/octet-stream", nil
	}
	if octets, err = json.Marshal(e.Data); err != nil {
		return nil, "", fmt.Errorf("event: %w", err)
	}
	return octets, "application/json", nil
}

// appendEventStream appends an event as text/event-stream. It appends nothing if the data is not
// text.
func appendEventStream(dst []byte, e *topicEvent) []byte {
	if !utf8.Valid(e.data) {
		return dst
	}
	return appendEvent(dst, &e.Event, e.data, e.hasData)
}

// appendEvent appends the lines of an event. HTML Standard §9.2.6.
func appendEvent(dst []byte, e *Event, data []byte, hasData bool) []byte {
	if e.ID != "" {
		dst = appendEventLine(dst, "id: ", e.ID)
	}
	if e.Name != "" {
		dst = appendEventLine(dst, "event: ", e.Name)
	}
	if e.Retry > 0 {
		dst = append(dst, "retry: "...)
		dst = strconv.AppendInt(dst, max(1, e.Retry.Milliseconds()), 10)
		dst = append(dst, '\n')
	}
	if hasData || e.Name != "" { // without a data line, the client drops the event
		dst = appendData(dst, data)
	}
	return append(dst, '\n')
}

func appendEventLine(dst []byte, field, value string) []byte {
	dst = append(append(dst, field...), value...)
	return append(dst, '\n')
}

// appendData appends a data line for each line of the data. A line ends with CRLF, LF or CR:
// the client gets LF for each.
func appendData(dst, data []byte) []byte {
	for {
		dst = append(dst, "data: "...)
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			dst = append(dst, data...)
			return append(dst, '\n')
		}
		dst = append(dst, data[:end]...)
		dst = append(dst, '\n')
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
}
