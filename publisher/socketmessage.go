package publisher

import (
	"encoding/json"
	"errors"
	"fmt"

	"zamqp/amqpproto"
	"zamqp/publisher/websocket"
)

// A MessageKind is what a message of a [Socket] holds.
type MessageKind uint8

// Kinds of messages. RFC 6455 §5.6.
const (
	TextMessage   MessageKind = 1 // UTF-8
	BinaryMessage MessageKind = 2
)

func (k MessageKind) String() string {
	switch k {
	case TextMessage:
		return "text"
	case BinaryMessage:
		return "binary"
	}
	return "none"
}

var errTwoReaders = errors.New("read: another function of the call waits for the next message already")

// Read returns the next message. It waits until one has come; other calls go on meanwhile. p is
// valid until the next Read.
//
// In the handler itself, Read first commits what was published and joined since the Read
// before. If that fails, so does Read. In a function that was given to Go it commits
// nothing.
//
// The error is a [SocketError] when the client has closed the socket or is lost, after the
// messages that came before. It is [ErrDraining], once, when the server begins to drain: what is
// written after that still arrives. A handler may return each of these errors: the call then does
// not fail.
func (ws *Socket) Read() (kind MessageKind, p []byte, err error) {
	r := ws.Request
	if err := r.usable(); err != nil {
		return 0, nil, fmt.Errorf("read: %w", err)
	}
	if ws.reader != nil {
		return 0, nil, errTwoReaders
	}
	if !r.isChild() && r.tx.hasWork() {
		if err := ws.Commit(); err != nil {
			return 0, nil, err
		}
	}
	if err := ws.Accept(); err != nil {
		return 0, nil, err
	}
	for {
		if r.interrupted() && r.cause() != ErrGone { // messages that have come are read even if their client has gone
			r.told = r.cancelled == ErrDraining
			return 0, nil, r.cause()
		}
		if text, p, ok := ws.conn.Next(); ok {
			return kindOf(text), p, nil
		}
		if ws.err != nil {
			return 0, nil, ws.err
		}
		ws.reader = r.running
		r.park()
		ws.reader = nil
	}
}

func kindOf(text bool) MessageKind {
	if text {
		return TextMessage
	}
	return BinaryMessage
}

// ReadJSON fills v from the next message. A message that does not fit is a [DecodeError]: a
// handler that returns it closes the socket with 1007.
func (ws *Socket) ReadJSON(v any) error {
	_, p, err := ws.Read()
	if err != nil {
		return err
	}
	decode := func() error { return json.Unmarshal(p, v) }
	if len(p) > amqpproto.LargeBody {
		err = ws.apart(decode)
	} else {
		err = decode()
	}
	if err != nil {
		return &DecodeError{ContentType: "application/json", Cause: err}
	}
	return nil
}

// Write sends a message. It waits while websocket.output_max or more is unsent, because the
// client reads more slowly than the handler writes. p is copied, and may change afterwards. A
// long message leaves in several frames. A text must be UTF-8.
func (ws *Socket) Write(kind MessageKind, p []byte) error {
	r := ws.Request
	if err := r.usable(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if kind != TextMessage && kind != BinaryMessage {
		return errors.New("write: a message is a TextMessage or a BinaryMessage")
	}
	if err := ws.Accept(); err != nil {
		return err
	}
	for ws.writing || ws.midEvent() { // another function of the call, or a topic
		if err := ws.waitToWrite(); err != nil {
			return err
		}
	}
	ws.writing = true
	err := ws.write(kind == TextMessage, p)
	ws.writing = false
	ws.wakeWriters()
	ws.offer()
	return err
}

// write sends a message in pieces.
func (ws *Socket) write(text bool, p []byte) error {
	for first := true; ; first = false {
		for ws.err == nil && ws.conn.Full() {
			if err := ws.waitToWrite(); err != nil {
				if !first { // half a message cannot be taken back
					ws.shut(closeOf(err))
				}
				return err
			}
		}
		piece := p[:min(len(p), websocket.WriteMax)]
		p = p[len(piece):]
		switch {
		case ws.err != nil:
			return ws.err
		case !ws.conn.Write(text, first, len(p) == 0, piece):
			return errSocketClosed
		case len(p) == 0:
			return nil
		}
	}
}

var errSocketClosed = errors.New("write: the socket is closed")

// WriteText sends a text.
func (ws *Socket) WriteText(text string) error { return ws.Write(TextMessage, view(text)) }

// WriteJSON sends v as a text.
func (ws *Socket) WriteJSON(v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return ws.Write(TextMessage, p)
}

// waitToWrite waits for room in the output, or for the end of another message.
func (ws *Socket) waitToWrite() error {
	r := ws.Request
	if ws.err != nil {
		return ws.err
	}
	if r.interrupted() && r.cause() != ErrGone && r.cause() != ErrDraining {
		return r.cause()
	}
	ws.refused = true
	ws.writers = append(ws.writers, r.running)
	r.park()
	for i, s := range ws.writers {
		if s == r.running {
			ws.writers = append(ws.writers[:i], ws.writers[i+1:]...)
			break
		}
	}
	return nil
}

// wakeWriters wakes the functions that wait in waitToWrite.
func (ws *Socket) wakeWriters() {
	for _, s := range ws.writers {
		s.wake()
	}
}

// Discard drops the messages that the client sends from now on. It is for handlers that only
// write: without Discard or Read, the server stops reading after some messages, and does not
// notice that the client closes the socket.
func (ws *Socket) Discard() error {
	if err := ws.Accept(); err != nil {
		return err
	}
	ws.conn.Discard()
	return nil
}

// AwaitClose drops what the client sends, and waits until the socket ends. It returns the error
// that Read would return.
func (ws *Socket) AwaitClose() error {
	if err := ws.Discard(); err != nil {
		return err
	}
	_, _, err := ws.Read()
	return err
}

// Commit commits what was published and joined since the last Commit or Read, and waits for the
// confirms of the broker. If it fails, all of that is aborted, and the handler may go on. It is
// for the handler itself, not for functions given to Go.
func (ws *Socket) Commit() error {
	r := ws.Request
	if err := r.usable(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if r.isChild() {
		return errors.New("commit: called in " + childName + ", which shares the transaction with its handler: return to the handler")
	}
	r.tx.committing = true
	err := guard(r.commit)
	if err != nil {
		err = checkError(err)
		r.abort()
	}
	r.tx.reset()
	r.tx.committing = false
	if r.children != nil {
		r.children.wake()
	}
	return err
}

// hasWork reports whether there is something to commit.
func (t *Tx) hasWork() bool {
	return t.err != nil || len(t.pubs)+len(t.events)+len(t.participants)+len(t.gets) > 0
}
