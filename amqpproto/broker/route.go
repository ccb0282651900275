package broker

// router is route's scratch, one for a server. Who carries the number of the
// route at work has been visited: a queue gets a message once, however many
// bindings lead there, and exchanges that are bound in a circle end.
type router struct {
	marks  uint64
	pub    *publishing // that is routed
	queues []*queue    // that it goes to
	work   []*exchange // still to be asked
	left   int         // units; below 0 = not all bindings were followed

	// Of the exchange that is asked.
	units int  // of each of its bindings
	found bool // one of them fits, even if it leads where others have led already
}

// routeSome is route as long as the units last; router.left tells.
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

// direct is the default exchange: to the queue of that name.
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

// visit asks x for the bindings that fit.
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
