package broker

// router is route's scratch, one for a server. Who carries the number of the
// route at work has been visited: a queue gets a message once, however many
// bindings lead there, and exchanges that are bound in a circle end.
type router struct {
	marks uint64
	lists [][]*binding // scratch of visit
	work  []*exchange  // still to be asked
	left  int          // units; below 0 = not all bindings were followed
}

// routeSome is route as long as the units last; router.left tells.
func (v *vhost) routeSome(x *exchange, p *publishing, dst []*queue, units int) []*queue {
	r := &v.server.router
	r.left = units
	r.marks++
	if x.name == "" {
		return r.direct(v, p, dst)
	}
	r.work = append(r.work[:0], x)
	x.mark = r.marks
	for len(r.work) > 0 {
		last := len(r.work) - 1
		x, r.work = r.work[last], r.work[:last]
		found := r.visit(x, p.key, p, &dst)
		for more := p.more; len(more) > 0 && x.typ.keyed; {
			var key []byte
			key, more = cutKey(more)
			found = r.visit(x, key, p, &dst) || found
		}
		if !found && x.alternate != "" {
			if a := v.exchanges[x.alternate]; a != nil {
				r.exchange(a)
			}
		}
	}
	return dst
}

// direct is the default exchange: to the queue of that name.
func (r *router) direct(v *vhost, p *publishing, dst []*queue) []*queue {
	dst = r.queue(v.queues[string(p.key)], dst)
	for more := p.more; len(more) > 0; {
		var key []byte
		key, more = cutKey(more)
		dst = r.queue(v.queues[string(key)], dst)
	}
	return dst
}

func (r *router) queue(q *queue, dst []*queue) []*queue {
	if q != nil && q.mark != r.marks {
		q.mark = r.marks
		dst = append(dst, q)
	}
	return dst
}

func (r *router) exchange(x *exchange) {
	if x.mark != r.marks {
		x.mark = r.marks
		r.work = append(r.work, x)
	}
}

// visit follows the bindings of x that fit. found says that there was one, even
// if it led where others have led already.
func (r *router) visit(x *exchange, key []byte, p *publishing, dst *[]*queue) (found bool) {
	r.lists = x.index.match(key, r.lists[:0])
	for _, list := range r.lists {
		if r.left -= len(list) * x.typ.units; r.left < 0 {
			return true
		}
		for _, b := range list {
			if b.leads() && (b.rule == nil || b.rule.fits(p.headers())) {
				found = true
				*dst = r.end(b, *dst)
			}
		}
	}
	clear(r.lists)
	return found
}

func (r *router) end(b *binding, dst []*queue) []*queue {
	if b.queue != nil {
		return r.queue(b.queue, dst)
	}
	r.exchange(b.target)
	return dst
}
