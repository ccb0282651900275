package broker

import (
	"math"
	"slices"

	"zamqp/amqpproto"
)

// routing is route for a publish with too many bindings for one slice. It uses the bindings
// that an exchange has when it is visited. Queues that are deleted after that get nothing.
type routing struct {
	vhost   *vhost
	keys    [][]byte // the routing key, and those of CC and BCC
	headers amqpproto.RawTable
	asked   map[*exchange]struct{}
	work    []*exchange // exchanges still to be visited
	seen    map[*queue]struct{}
	queues  []*queue

	at    *exchange    // the exchange that is visited now
	found bool         // one of its bindings matches
	lists [][]*binding // its bindings that are still to be followed
}

// newRouting begins a routing. It keeps no part of p.
func (v *vhost) newRouting(x *exchange, p *publishing) *routing {
	r := &routing{vhost: v, keys: [][]byte{slices.Clone(p.key)}, headers: slices.Clone(p.headers()),
		asked: map[*exchange]struct{}{x: {}}, work: []*exchange{x}, seen: map[*queue]struct{}{}}
	for more := p.more; len(more) > 0; {
		var key []byte
		key, more = cutKey(more)
		r.keys = append(r.keys, slices.Clone(key))
	}
	return r
}

func (r *routing) step(s *Server) (done bool) {
	for {
		if !r.followAll(s) {
			return false
		}
		if x := r.at; x != nil && !r.found && x.alternate != "" {
			r.ask(r.vhost.exchanges[x.alternate])
		}
		last := len(r.work) - 1
		if last < 0 {
			return true
		}
		r.at, r.found, r.work = r.work[last], false, r.work[:last]
		r.open(r.at)
	}
}

// open records which bindings of x must be followed.
func (r *routing) open(x *exchange) {
	keys := r.keys
	if !x.typ.keyed {
		keys = keys[:1]
	}
	for _, key := range keys {
		x.index.match(key, r)
	}
}

// follow records a list. It makes a copy, because bindings may be removed before their turn.
func (r *routing) follow(list []*binding) { r.lists = append(r.lists, slices.Clone(list)) }

// followAll follows the bindings of the exchange that is visited.
func (r *routing) followAll(s *Server) (done bool) {
	for len(r.lists) > 0 {
		for len(r.lists[0]) > 0 {
			if !s.charge(r.at.typ.units, 0) {
				return false
			}
			if b := r.lists[0][0]; b.rule == nil || b.rule.fits(r.headers) {
				r.end(b)
			}
			r.lists[0] = r.lists[0][1:]
		}
		r.lists = r.lists[1:]
	}
	return true
}

func (r *routing) end(b *binding) {
	if !b.leads() {
		return
	}
	r.found = true
	if b.queue == nil {
		r.ask(b.target)
		return
	}
	if _, seen := r.seen[b.queue]; !seen {
		r.seen[b.queue] = struct{}{}
		r.queues = append(r.queues, b.queue)
	}
}

func (r *routing) ask(x *exchange) {
	if x == nil {
		return
	}
	if _, asked := r.asked[x]; !asked {
		r.asked[x] = struct{}{}
		r.work = append(r.work, x)
	}
}

// routeNow is route, if the slice has room for it. Otherwise it returns the work for later
// turns.
func (v *vhost) routeNow(x *exchange, p *publishing, dst []*queue) ([]*queue, *routing) {
	s := v.server
	r, w := &s.router, &s.slice
	free := max(w.units, freeUnits)
	queues := v.routeSome(x, p, dst, free)
	if r.left < 0 && s.now() != w.turn {
		s.refill(s.now())
		free = w.units
		queues = v.routeSome(x, p, dst, free)
	}
	if r.left < 0 {
		return dst, v.newRouting(x, p)
	}
	if used := free - r.left; used > freeUnits {
		s.charge(used, 0)
	}
	return queues, nil
}

// route appends the queues that get p when it is published to x, each once. It follows
// bindings of exchanges to exchanges, alternate exchanges, CC and BCC. It allocates only dst.
// parse and check must be called before.
func (v *vhost) route(x *exchange, p *publishing, dst []*queue) []*queue {
	return v.routeSome(x, p, dst, math.MaxInt)
}
