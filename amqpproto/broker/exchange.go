package broker

import "zamqp/amqpproto"

// exchange routes messages. Its fields are those of exchangeSpec.
type exchange struct {
	vhost *vhost
	exchangeSpec

	alternate string // x's alternate-exchange; "" = none
	bindings  []*binding
	known     map[bindingKey]*binding // bindings by key, to find one that exists already
	targets   []*binding              // bindings whose target is x
	mark      uint64                  // for route
	gone      bool                    // deleted

	typ   *exchangeType
	index bindingIndex // the bindings, as messages find them
}

// binding binds a queue or an exchange to a source exchange.
type binding struct {
	source *exchange
	queue  *queue    // one of the two
	target *exchange // one of the two
	key    string
	args   amqpproto.RawTable // sorted by name

	inSource int // its places in source.bindings, and in queue.bindings or target.targets
	inTarget int
	inIndex  int         // its place in the part of source.index that has b
	rule     bindingRule // nil = only the routing key counts
}

// bindingKey identifies a binding: two bindings with the same key are the same.
type bindingKey struct {
	queue     *queue
	target    *exchange
	key, args string
}

func (b *binding) identity() bindingKey {
	return bindingKey{b.queue, b.target, b.key, string(b.args)}
}

func newExchange(v *vhost, spec exchangeSpec) *exchange {
	x := &exchange{vhost: v, exchangeSpec: spec, known: map[bindingKey]*binding{}}
	x.typ = typeOf(spec.kind)
	x.index = x.typ.newIndex(x)
	if f, ok := spec.args.Lookup("alternate-exchange"); ok {
		x.alternate = string(f.Raw)
	}
	return x
}

// bindQueue and unbindQueue are queue.bind and queue.unbind.
func (v *vhost) bindQueue(queue, source, key []byte, args amqpproto.RawTable, c *Conn) error {
	b, err := v.bindingOf(source, key, args)
	if err != nil {
		return err
	}
	name := stripBreaks(string(queue))
	b.queue = v.queues[name]
	switch {
	case b.source == nil:
		return v.noExchange(stripBreaks(string(source)))
	case b.queue == nil:
		return v.noQueue(name)
	}
	if err := b.valid(); err != nil {
		return err
	}
	if err := b.queue.mayUse(c); err != nil {
		return err
	}
	return v.addBinding(b)
}

func (v *vhost) unbindQueue(queue, source, key []byte, args amqpproto.RawTable, c *Conn) error {
	b, err := v.bindingOf(source, key, args)
	if err != nil {
		return err
	}
	b.queue = v.queues[stripBreaks(string(queue))]
	if b.source == nil || b.queue == nil {
		return nil
	}
	if b = b.source.known[b.identity()]; b == nil {
		return nil
	}
	if err := b.queue.mayUse(c); err != nil {
		return err
	}
	v.removeBinding(b)
	return nil
}

// bindExchange and unbindExchange are exchange.bind and exchange.unbind.
func (v *vhost) bindExchange(destination, source, key []byte, args amqpproto.RawTable) error {
	b, err := v.exchangeBinding(destination, source, key, args)
	if err != nil {
		return err
	}
	switch {
	case b.source == nil:
		return v.noExchange(stripBreaks(string(source)))
	case b.target == nil:
		return v.noExchange(stripBreaks(string(destination)))
	}
	if err := b.valid(); err != nil {
		return err
	}
	return v.addBinding(b)
}

func (v *vhost) unbindExchange(destination, source, key []byte, args amqpproto.RawTable) error {
	b, err := v.exchangeBinding(destination, source, key, args)
	if err != nil {
		return err
	}
	if b.source == nil || b.target == nil {
		return nil
	}
	if b = b.source.known[b.identity()]; b != nil {
		v.removeBinding(b)
	}
	return nil
}

// exchangeBinding makes a binding of an exchange. Its source or its target is nil if no exchange
// has that name.
func (v *vhost) exchangeBinding(destination, source, key []byte, args amqpproto.RawTable) (*binding, error) {
	name := stripBreaks(string(destination))
	if err := checkDefault(name); err != nil {
		return nil, err
	}
	b, err := v.bindingOf(source, key, args)
	if err == nil {
		b.target = v.exchanges[name]
	}
	return b, err
}

// bindingOf makes a binding without its target. Its source is nil if no exchange has
// that name.
func (v *vhost) bindingOf(source, key []byte, args amqpproto.RawTable) (*binding, error) {
	name := stripBreaks(string(source))
	if err := checkDefault(name); err != nil {
		return nil, err
	}
	return &binding{source: v.exchanges[name], key: string(key), args: sortTable(args)}, nil
}

// valid returns the error for arguments that the exchange cannot use.
func (b *binding) valid() error {
	if check := b.source.typ.check; check != nil {
		return check(b.args)
	}
	return nil
}

// addBinding adds a binding if it is new.
func (v *vhost) addBinding(b *binding) error {
	if b.source.known[b.identity()] != nil {
		return nil
	}
	if most := v.server.opts.BindingsMax; most > 0 && v.bindings >= most {
		return precondition("cannot add binding: binding limit in vhost '%s' (%d) is reached", v.name, most)
	}
	v.linkBinding(b)
	v.server.storeBinding(b)
	return nil
}

// linkBinding is addBinding for a binding that is new, without storing it.
// Recovery uses it too.
func (v *vhost) linkBinding(b *binding) {
	x := b.source
	x.known[b.identity()] = b
	b.inSource = len(x.bindings)
	x.bindings = append(x.bindings, b)
	ends := b.ends()
	b.inTarget = len(*ends)
	*ends = append(*ends, b)
	v.bindings++
	x.index.add(b)
}

// ends returns the list of bindings of the thing that b leads to.
func (b *binding) ends() *[]*binding {
	if b.queue != nil {
		return &b.queue.bindings
	}
	return &b.target.targets
}

// removeBinding removes a binding. When an auto-delete exchange loses its last binding, it is
// deleted.
func (v *vhost) removeBinding(b *binding) {
	v.server.forgetBinding(b)
	v.unlinkBinding(b)
	if x := b.source; x.autoDelete && len(x.bindings) == 0 {
		x.delete()
	}
}

func (v *vhost) unlinkBinding(b *binding) {
	x := b.source
	delete(x.known, b.identity())
	last := x.bindings[len(x.bindings)-1]
	x.bindings[b.inSource], last.inSource = last, b.inSource
	x.bindings = dropLast(x.bindings)
	ends := b.ends()
	last = (*ends)[len(*ends)-1]
	(*ends)[b.inTarget], last.inTarget = last, b.inTarget
	*ends = dropLast(*ends)
	v.bindings--
	x.index.remove(b)
}

func dropLast(list []*binding) []*binding {
	list[len(list)-1] = nil
	return list[:len(list)-1]
}

// without removes b from a list of an index, by inIndex. The order does not matter.
func without(list []*binding, b *binding) []*binding {
	last := list[len(list)-1]
	list[b.inIndex], last.inIndex = last, b.inIndex
	return dropLast(list)
}

// delete deletes the exchange, and the bindings from it and to it.
func (x *exchange) delete() {
	v := x.vhost
	if v.exchanges[x.name] != x {
		return // a cycle of auto-delete exchanges leads back here
	}
	v.server.forgetExchange(x)
	delete(v.exchanges, x.name)
	v.server.stats.Exchanges--
	x.gone = true
	if n := len(x.bindings) + len(x.targets); !v.server.afford(n * bindingUnits) {
		v.server.removeLater(&removal{vhost: v, exchange: x})
		return
	}
	for len(x.bindings)+len(x.targets) > 0 {
		x.unbindOne()
	}
}

// unbindOne removes one binding of an exchange that was deleted.
func (x *exchange) unbindOne() {
	if n := len(x.bindings); n > 0 {
		b := x.bindings[n-1]
		x.vhost.server.forgetBinding(b)
		x.vhost.unlinkBinding(b)
		return
	}
	x.vhost.removeBinding(x.targets[len(x.targets)-1])
}

// leads reports whether the target of b still exists.
func (b *binding) leads() bool {
	if b.queue != nil {
		return !b.queue.gone
	}
	return !b.target.gone
}
