package publisher

import (
	"context"
	"errors"
	"net/http"
	"time"

	"zamqp/publisher/websocket"
)

// A SocketError says how a [Socket] has ended: with the code and the reason of the client's close
// frame, with 1006 if the client is lost, or, if the server has closed the socket because of an
// error of the client, with the code for that error.
type SocketError = websocket.CloseError

// socketGrace is how long the waits of a call go on after its client has closed the socket
// cleanly. The handler may be at work on the last message.
const socketGrace = 10 * time.Second

// Close sends a close frame with a code and a reason, which has 123 octets at most. The
// handler should return then: nothing can be written any more. Codes are those of RFC 6455
// §7.4; 4000 to 4999 are for applications.
func (ws *Socket) Close(code int, reason string) error {
	if err := ws.Accept(); err != nil {
		return err
	}
	if !websocket.ValidCloseCode(code) {
		return errors.New("close: no close frame can have this code: use 1000, or one of 4000 to 4999")
	}
	ws.shut(code, reason)
	return nil
}

// shut ends the socket from this side.
func (ws *Socket) shut(code int, reason string) { ws.end(errSocketClosed, code, reason) }

// end is shut with the error that the handler gets from then on.
func (ws *Socket) end(err error, code int, reason string) {
	if ws.err == nil {
		ws.err = err
		ws.unfollowAll()
		ws.conn.Shut(code, reason)
		ws.wake()
	}
}

// wake lets all functions of the call that wait for the socket look again.
func (ws *Socket) wake() {
	if ws.reader != nil {
		ws.reader.wake()
	}
	ws.wakeWriters()
}

// socketEnd is a Socket as the Handler of its machine.
type socketEnd Socket

// Message wakes the function that waits in Read.
func (e *socketEnd) Message() {
	if e.reader != nil {
		e.reader.wake()
	}
}

// Room wakes the functions that wait to write, and the topics that the socket follows.
func (e *socketEnd) Room() {
	ws := (*Socket)(e)
	ws.wakeWriters()
	ws.offer()
}

// Closed ends the socket. The waits of its call end now if the client is lost, and after a
// while if it has closed cleanly.
func (e *socketEnd) Closed(err *websocket.CloseError) {
	ws := (*Socket)(e)
	if ws.over {
		return
	}
	r := ws.Request
	if err.Code == websocket.CloseAbnormal {
		lost := *err
		lost.Cause = ErrGone
		if err.Cause != nil {
			lost.Cause = errors.Join(ErrGone, err.Cause)
		}
		err = &lost
	}
	if ws.err == nil {
		ws.err = err
	}
	ws.unfollowAll()
	ws.wake()
	if err.Code == websocket.CloseAbnormal || err.Own {
		r.cancel(ErrGone)
		return
	}
	ws.endTimer()
	ws.stop = r.server.runtime.After(socketGrace, func() { r.cancel(ErrGone) })
}

func (ws *Socket) endTimer() {
	if ws.stop != nil {
		ws.stop()
		ws.stop = nil
	}
}

// returned is called with what the handler has returned. An error that says that the socket has
// ended does not fail the call. Apart from that it is like any other: it aborts the transaction,
// and ends the functions given to Go.
func (ws *Socket) returned(err error) error {
	if err == nil || !isSocketEnd(err) {
		return err
	}
	r := ws.Request
	if r.children != nil {
		if err = r.join(err); !isSocketEnd(err) {
			return err
		}
	}
	if r.tx.hasWork() {
		r.server.log.Info().Err(err).Stringer("call", r).Msg("the socket ended before the handler had committed, and the handler returned that error: what it had published or joined since the last commit was aborted")
		r.abort()
	}
	return nil
}

// isSocketEnd reports whether an error only says that a socket has ended.
func isSocketEnd(err error) bool {
	var closed *SocketError
	return errors.As(err, &closed) || errors.Is(err, ErrDraining) || errors.Is(err, ErrGone) || errors.Is(err, errSocketClosed)
}

// finish closes the socket when its call is over. err is how that ended.
func (ws *Socket) finish(err error) {
	ws.over = true
	ws.endTimer()
	ws.unfollowAll()
	if ws.conn == nil {
		return
	}
	s := ws.server
	s.openSockets--
	if ws.err == nil {
		code, reason := closeOf(err)
		if err == nil && s.draining {
			code, reason = websocket.CloseGoingAway, ErrDraining.Error()
		}
		ws.err = errSocketClosed
		ws.conn.Shut(code, reason)
	}
	ws.conn.Release()
}

// closeOf maps the failure of a call to a close code and a reason. As in an HTTP answer, the
// reason has only what is meant for the client.
func closeOf(err error) (code int, reason string) {
	if err == nil {
		return websocket.CloseNormal, ""
	}
	var decode *DecodeError
	status, text := statusOf(err)
	switch {
	case errors.As(err, &decode):
		code = websocket.CloseInvalidPayload
	case errors.Is(err, ErrShutdown), errors.Is(err, ErrDraining), errors.Is(err, context.DeadlineExceeded):
		code = websocket.CloseGoingAway
	case status == http.StatusServiceUnavailable:
		code = websocket.CloseTryAgainLater
	case status < http.StatusInternalServerError:
		code = websocket.ClosePolicyViolation
	default:
		code = websocket.CloseInternalError
	}
	return code, text
}
