package publisher

import (
	"cmp"
	"container/list"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ClientOptions limit the requests of [Request.Client], for all calls together. 0 is the
// default.
type ClientOptions struct {
	HostMax        int            // requests to one host at once
	RequestsMax    int            // requests at once
	Queue          int            // HTTP calls that may wait for one host; one more is answered 503
	ConnectTimeout time.Duration  // to connect, and then for the TLS handshake
	IdleTimeout    time.Duration  // how long an unused connection stays open
	RootCAs        *x509.CertPool // nil is the system's
}

// The defaults of [ClientOptions].
const (
	ClientHostMax        = 100
	ClientRequestsMax    = 1000
	ClientQueue          = 1000
	ClientConnectTimeout = 10 * time.Second
	ClientIdleTimeout    = 90 * time.Second
)

// outgoing holds the requests of all calls to other servers. A request holds a slot from
// before it is sent until its answer has been read. So a slow host uses up only its own
// slots, and a request that waits for a slot needs no goroutine. Any goroutine may use it.
type outgoing struct {
	options   ClientOptions
	transport atomic.Pointer[http.Transport]

	mu      sync.Mutex
	hosts   map[string]*outgoingHost // hosts with requests
	busy    int
	waiting int
	total   uint64
	failed  uint64
	retried uint64
	refused uint64
}

// outgoingHost is one host, as host:port, with the requests to it.
type outgoingHost struct {
	name string
	busy int
	line list.List // of *outgoingSlot
}

// An outgoingSlot is the place of one request, first in the line of its host, then among the
// requests under way.
type outgoingSlot struct {
	of    *outgoing
	host  *outgoingHost
	since time.Time
	grant func()        // called once the slot is held, on any goroutine
	at    *list.Element // in the line; nil once the slot is held
	over  bool
}

func newOutgoing(c ClientOptions) *outgoing {
	c.HostMax, c.RequestsMax, c.Queue = cmp.Or(c.HostMax, ClientHostMax), cmp.Or(c.RequestsMax, ClientRequestsMax), cmp.Or(c.Queue, ClientQueue)
	c.ConnectTimeout, c.IdleTimeout = cmp.Or(c.ConnectTimeout, ClientConnectTimeout), cmp.Or(c.IdleTimeout, ClientIdleTimeout)
	o := &outgoing{options: c, hosts: map[string]*outgoingHost{}}
	o.transport.Store(newTransport(&c, c.RootCAs))
	return o
}

func newTransport(c *ClientOptions, roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: c.ConnectTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		MaxIdleConns: c.RequestsMax, MaxIdleConnsPerHost: c.HostMax, IdleConnTimeout: c.IdleTimeout,
		TLSClientConfig: &tls.Config{RootCAs: roots}, TLSHandshakeTimeout: c.ConnectTimeout, ExpectContinueTimeout: time.Second,
	}
}

// TrustInClient makes [Request.Client] trust these authorities from its next connection on.
// Requests that are under way go on. Any goroutine may call it.
func (s *Server) TrustInClient(roots *x509.CertPool) {
	o := s.outgoing
	o.transport.Swap(newTransport(&o.options, roots)).CloseIdleConnections() // those in use close when they have been idle for long
}

func (o *outgoing) count(fn func(*outgoing)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fn(o)
}

// acquire returns a slot. If the slot is not held yet, it stands in line, and grant is called
// once it is held.
func (o *outgoing) acquire(name string, refusable bool, grant func()) (*outgoingSlot, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.hosts[name]
	if h == nil {
		h = &outgoingHost{name: name}
		o.hosts[name] = h
	}
	s := &outgoingSlot{of: o, host: h, since: time.Now(), grant: grant}
	switch {
	case o.room(h):
		o.take(s)
	case refusable && h.line.Len() >= o.options.Queue:
		o.refused++
		waited := time.Since(h.line.Front().Value.(*outgoingSlot).since)
		e := &StatusError{Status: http.StatusServiceUnavailable, Text: http.StatusText(http.StatusServiceUnavailable), Cause: fmt.Errorf(
			"%d requests to %s are under way and %d wait: is it slow? See client.host_max, client.requests_max and client.queue", h.busy, name, h.line.Len())}
		return nil, e.With(retryAfter, retryAfterOf(waited))
	default: // a message waits, as in a pool
		s.at = h.line.PushBack(s)
		o.waiting++
	}
	return s, nil
}

func (o *outgoing) room(h *outgoingHost) bool {
	return h.busy < o.options.HostMax && o.busy < o.options.RequestsMax
}

func (o *outgoing) take(s *outgoingSlot) {
	s.host.busy++
	o.busy++
	o.total++
}

// held reports whether the slot has left the line.
func (s *outgoingSlot) held() bool {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.at == nil
}

// release gives the slot to the next request, or leaves the line. A second call does nothing.
func (s *outgoingSlot) release() {
	o := s.of
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	if s.at != nil {
		s.host.line.Remove(s.at)
		s.at = nil
		o.waiting--
	} else {
		s.host.busy--
		o.busy--
		o.next(s.host)
	}
	if s.host.busy == 0 && s.host.line.Len() == 0 && o.hosts[s.host.name] == s.host {
		delete(o.hosts, s.host.name)
	}
}

// next grants a slot that has become free: to a request to the same host, or to any other
// host if all slots were taken.
func (o *outgoing) next(h *outgoingHost) {
	if h.line.Len() == 0 || !o.room(h) {
		if o.waiting == h.line.Len() {
			return
		}
		for _, other := range o.hosts {
			if other.line.Len() > 0 && o.room(other) {
				h = other
				break
			}
		}
	}
	if h.line.Len() == 0 || !o.room(h) {
		return
	}
	s := h.line.Remove(h.line.Front()).(*outgoingSlot)
	s.at = nil
	o.waiting--
	o.take(s)
	s.grant()
}

// slot waits for a slot of the request's host.
func (x *roundTrip) slot(o *outgoing) (*outgoingSlot, error) {
	if x.at == beside {
		return x.slotBeside(o)
	}
	var s *outgoingSlot
	post := x.t.server.runtime.Post
	err := x.t.r.await(func(_ *Request, p *pause) (err error) {
		s, err = o.acquire(x.host, x.t.hasClient, func() { post(func() { p.end(nil) }) })
		if err != nil {
			return err
		}
		if s.held() {
			p.end(nil)
		}
		p.stop = s.release
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (x *roundTrip) slotBeside(o *outgoing) (*outgoingSlot, error) {
	granted := make(chan struct{}, 1)
	s, err := o.acquire(x.host, x.t.hasClient, func() { granted <- struct{}{} })
	if err != nil || s.held() {
		return s, err
	}
	select {
	case <-granted:
		return s, nil
	case <-x.t.ctx.Done():
		err = context.Cause(x.t.ctx)
	case <-x.in.Context().Done():
		err = context.Cause(x.in.Context())
	}
	s.release()
	return nil, err
}

// hostsMeasured limits the number of hosts that have metrics of their own.
const hostsMeasured = 20

// measure appends the metrics of requests to other servers.
func (o *outgoing) measure(dst []Metric) []Metric {
	o.mu.Lock()
	defer o.mu.Unlock()
	dst = append(dst,
		Metric{Name: "client_busy", Help: "Requests of r.Client under way, until their answers have been read.", Value: float64(o.busy)},
		Metric{Name: "client_waiting", Help: "Requests of r.Client that wait, for client.host_max or client.requests_max.", Value: float64(o.waiting)},
		Metric{Name: "client_requests_total", Help: "Requests of r.Client sent; each try counts.", Value: float64(o.total)},
		Metric{Name: "client_failed_total", Help: "Requests of r.Client without an answer.", Value: float64(o.failed)},
		Metric{Name: "client_retried_total", Help: "Requests of r.Client that were sent again.", Value: float64(o.retried)},
		Metric{Name: "client_refused_total", Help: "Requests of r.Client refused because client.queue others waited for the host.", Value: float64(o.refused)})
	hosts := make([]*outgoingHost, 0, len(o.hosts))
	for _, h := range o.hosts {
		hosts = append(hosts, h)
	}
	slices.SortFunc(hosts, func(a, b *outgoingHost) int {
		return cmp.Or(cmp.Compare(b.line.Len(), a.line.Len()), cmp.Compare(b.busy, a.busy), cmp.Compare(a.name, b.name))
	})
	for _, h := range hosts[:min(len(hosts), hostsMeasured)] {
		dst = AppendMetrics(dst, []Label{{"host", h.name}},
			Metric{Name: "client_host_busy", Help: "Requests under way to one host, for the 20 hosts with the most waiting requests.", Value: float64(h.busy)},
			Metric{Name: "client_host_waiting", Help: "Requests that wait for one host, for the same hosts.", Value: float64(h.line.Len())})
	}
	return dst
}
