package broker

// router is the scratch memory of route, one for a server. A queue or exchange that has the
// number of the current route has been visited. So a queue gets a message once, however many
// bindings lead there, and a circle of exchanges ends.
type router struct {
	marks  uint64
	pub    *publishing // the message that is being routed
	queues []*queue    // the queues that get it
	work   []*exchange // exchanges that are still to be visited
	left   int         // units that are left; below 0 = not all bindings were followed

	// For the exchange that is being visited:
	units int  // the cost of each of its bindings
	found bool // a binding matches, even if its queue has been visited
}

// routeSome is route within a budget of units; router.left is what remains of it.
func (v *vhost) routeSome(x *exchange, p *publishing, dst []*queue, units int) []*queue {
	r := &v.server.router
	r.left = units
	r.marks++
	r.pub, r.queues = p, dst
	if x.name == "" {
		r.direct(v)
	} else {
		x.mark = r.marks
		r.work = append(r.work[:0], x)
	}
	for len(r.work) > 0 {
		last := len(r.work) - 1
		x, r.work = r.work[last], r.work[:last]
		r.visit(x)
		if !r.found && x.alternate != "" {
			if a := v.exchanges[x.alternate]; a != nil {
				r.exchange(a)
			}
		}
	}
	dst = r.queues
	r.pub, r.queues = nil, nil
	return dst
}

// direct routes for the default exchange, to the queue whose name is the routing key.
func (r *router) direct(v *vhost) {
	r.queue(v.queues[string(r.pub.key)])
	for more := r.pub.more; len(more) > 0; {
		var key []byte
		key, more = cutKey(more)
		r.queue(v.queues[string(key)])
	}
}

func (r *router) queue(q *queue) {
	if q != nil && q.mark != r.marks {
		q.mark = r.marks
		r.queues = append(r.queues, q)
	}
}

func (r *router) exchange(x *exchange) {
	if x.mark != r.marks {
		x.mark = r.marks
		r.work = append(r.work, x)
	}
}

// visit finds the bindings of x that match.
func (r *router) visit(x *exchange) {
	r.found, r.units = false, x.typ.units
	x.index.match(r.pub.key, r)
	for more := r.pub.more; len(more) > 0 && x.typ.keyed; {
		var key []byte
		key, more = cutKey(more)
		x.index.match(key, r)
	}
}

func (r *router) follow(list []*binding) {
	if r.left -= len(list) * r.units; r.left < 0 {
		r.found = true
		return
	}
	for _, b := range list {
		if !b.leads() || b.rule != nil && !b.rule.fits(r.pub.headers()) {
			continue
		}
		r.found = true
		if b.queue != nil {
			r.queue(b.queue)
		} else {
			r.exchange(b.target)
		}
	}
}
