package publisher

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"sync/atomic"
	"weak"
)

// hijacked is a connection that a handler has taken over and not closed yet.
type hijacked struct {
	server *Server
	slot   int                     // the place in Server.hijacked
	cancel context.CancelCauseFunc // cancels the handler's context
	closed func()                  // tells the door
	close  func()                  // closes the connection
	over   atomic.Bool             // the connection is closed
}

// own returns the connection that the handler gets. It notices when the handler calls Close,
// and when package net closes the connection because nothing refers to it any more.
func (h *hijacked) own(nc net.Conn) net.Conn {
	switch nc := nc.(type) {
	case *net.TCPConn:
		h.close = watchConn(h, nc)
		return &hijackedTCP{nc, h.leave}
	case *net.UnixConn:
		h.close = watchConn(h, nc)
		return &hijackedUnix{nc, h.leave}
	case *tls.Conn:
		h.close = watchConn(h, nc)
		return &hijackedTLS{nc, h.leave}
	}
	h.close = func() { _ = nc.Close() }
	return &hijackedConn{nc, h.leave}
}

// watchConn returns a function that closes the connection, and that holds no reference to it.
func watchConn[T any](h *hijacked, nc *T) (end func()) {
	runtime.AddCleanup(nc, (*hijacked).leave, h)
	known := weak.Make(nc)
	return func() {
		if nc := known.Value(); nc != nil {
			_ = any(nc).(io.Closer).Close()
		}
	}
}

// These types have all methods of the connections that net/http gives, such as CloseWrite.
type (
	hijackedTCP struct {
		*net.TCPConn
		leave func()
	}
	hijackedUnix struct {
		*net.UnixConn
		leave func()
	}
	hijackedTLS struct {
		*tls.Conn
		leave func()
	}
	hijackedConn struct {
		net.Conn
		leave func()
	}
)

func (c *hijackedTCP) Close() error  { defer c.leave(); return c.TCPConn.Close() }
func (c *hijackedUnix) Close() error { defer c.leave(); return c.UnixConn.Close() }
func (c *hijackedTLS) Close() error  { defer c.leave(); return c.Conn.Close() }
func (c *hijackedConn) Close() error { defer c.leave(); return c.Conn.Close() }

// takeOver records a connection that belongs to a handler from now on.
func (s *Server) takeOver(h *hijacked) {
	h.slot = len(s.hijacked)
	s.hijacked = append(s.hijacked, h)
	if s.draining {
		h.cancel(ErrDraining)
	}
}

// leave tells the server that the connection is closed. Any goroutine.
func (h *hijacked) leave() {
	if !h.over.Swap(true) {
		h.server.runtime.Post(func() { h.server.forget(h) })
	}
}

// forget removes a closed connection from the count. Loop thread.
func (s *Server) forget(h *hijacked) {
	last := len(s.hijacked) - 1
	s.hijacked[h.slot] = s.hijacked[last]
	s.hijacked[h.slot].slot = h.slot
	s.hijacked[last] = nil
	s.hijacked = s.hijacked[:last]
	h.closed()
	if done := s.unhijacked; done != nil && len(s.hijacked) == 0 {
		s.unhijacked = nil
		done()
	}
}

// Hijacked returns the number of connections that handlers have taken over and not closed.
// Loop thread only.
func (s *Server) Hijacked() int { return len(s.hijacked) }

// AwaitHijacked calls done when all connections that handlers have taken over are closed.
// Loop thread only.
func (s *Server) AwaitHijacked(done func()) {
	if len(s.hijacked) == 0 {
		done()
		return
	}
	s.unhijacked = done
}

// CloseHijacked closes the connections that handlers have taken over. Loop thread
// only.
func (s *Server) CloseHijacked() {
	all := slices.Clone(s.hijacked)
	go func() { // closing waits for goroutines that are reading
		for _, h := range all {
			h.close()
			h.leave()
		}
	}()
}

// cancelHijacked is a walk that cancels the contexts of handlers that have taken over their
// connections.
func (s *Server) cancelHijacked(cause error) *walk[*hijacked] {
	return s.eachHijacked(func(h *hijacked) bool {
		h.cancel(cause)
		return true
	})
}

// hijackerEnded logs the panic of a handler after it has taken over its connection,
// which stays the handler's, as under net/http.
func (s *Server) hijackerEnded(handler string, failure error) {
	var p *PanicError
	if !errors.As(failure, &p) {
		return
	}
	s.stats.Panics++
	s.log.Error().Err(failure).Str("handler", handler).Bytes("stack", p.Stack).
		Msg("a handler panicked after it had taken over its connection")
}
