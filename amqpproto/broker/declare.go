package broker

import "zamqp/amqpproto"

// declareQueue makes the queue, or finds an equivalent one. owner is the connection that
// declares.
func (v *vhost) declareQueue(spec queueSpec, owner *Conn) (*queue, error) {
	spec.name = stripBreaks(spec.name)
	spec.durable = spec.durable && !spec.exclusive
	if spec.name == "" {
		if t, _ := queueTypeOf(spec.args); !t.serverNamed {
			return nil, precondition("Cannot declare a server-named queue for type %s", t.module)
		}
		for spec.name == "" || v.queues[spec.name] != nil {
			spec.name = v.server.generatedName()
		}
	} else if err := checkName("queue", spec.name); err != nil {
		return nil, err
	}
	if !spec.exclusive {
		owner = nil
	}
	if q := v.queues[spec.name]; q != nil {
		if err := q.equivalent(spec, owner); err != nil {
			return nil, err
		}
		q.touch()
		return q, nil
	}
	if most := v.server.opts.QueuesMax; most > 0 && len(v.queues) >= most {
		return nil, precondition("cannot declare queue '%s': queue limit in vhost '%s' (%d) is reached", spec.name, v.name, most)
	}
	q, err := v.makeQueue(spec, owner)
	if err != nil {
		return nil, err
	}
	v.server.storeQueue(q)
	q.touch()
	return q, nil
}

// makeQueue makes a queue whose name is not in use, without storing it. Recovery uses it,
// too.
func (v *vhost) makeQueue(spec queueSpec, owner *Conn) (*queue, error) {
	q := &queue{vhost: v, queueSpec: spec, owner: owner}
	q.args = append(amqpproto.RawTable(nil), spec.args...)
	var err error
	if q.queueRules, err = q.rules(); err != nil {
		return nil, err
	}
	q.backlog.Init(q.typ.lanes(&q.queueRules))
	v.queues[q.name] = q
	v.server.stats.Queues++
	if owner != nil {
		if v.owned[owner] == nil {
			v.owned[owner] = map[*queue]struct{}{}
		}
		v.owned[owner][q] = struct{}{}
	}
	return q, nil
}

// equivalent returns the error for a queue that is declared again with other properties.
func (q *queue) equivalent(spec queueSpec, owner *Conn) error {
	if q.owner != owner {
		return q.lockedError()
	}
	if err := equalFlag(q.durable, spec.durable, q, "durable"); err != nil {
		return err
	}
	if err := equalFlag(q.autoDelete, spec.autoDelete, q, "auto_delete"); err != nil {
		return err
	}
	return equalArguments(q.args, spec.args, q, q.typ.arguments)
}

// checkQueue is a passive declare.
func (v *vhost) checkQueue(name []byte, c *Conn) (*queue, error) {
	q := v.queues[stripBreaks(string(name))]
	if q == nil {
		return nil, v.noQueue(stripBreaks(string(name)))
	}
	q.touch()
	return q, q.mayUse(c)
}

// deleteQueue is queue.delete. It returns the number of messages that were deleted with the
// queue. A queue that does not exist is no error.
func (v *vhost) deleteQueue(name []byte, c *Conn, ifUnused, ifEmpty bool) (messages int, err error) {
	q := v.queues[stripBreaks(string(name))]
	if q == nil {
		return 0, nil
	}
	if err := q.mayUse(c); err != nil {
		return 0, err
	}
	if err := q.quiet(); err != nil {
		return 0, err
	}
	const cannot = "cannot delete %s. queue.delete operations with %s flag set are not supported by %s queues"
	switch conditional := q.typ.conditionalDelete; {
	case ifUnused && !conditional:
		return 0, unsupported(cannot, q, "if-unused", q.typ.name)
	case ifEmpty && !conditional:
		return 0, unsupported(cannot, q, "if-empty", q.typ.name)
	case ifEmpty && q.backlog.Len() > 0:
		return 0, precondition("%s not empty", q)
	case ifUnused && q.all.n > 0:
		return 0, precondition("%s in use", q)
	}
	return q.delete(), nil
}

// delete deletes the queue with its bindings, consumers and ready messages, and returns how
// many messages there were. Channels return their unacked messages as always.
func (q *queue) delete() (messages int) {
	if q.gone {
		return 0
	}
	v, s := q.vhost, q.vhost.server
	s.forgetQueue(q)
	q.gone = true
	delete(v.queues, q.name)
	s.stats.Queues--
	if q.owner != nil {
		delete(v.owned[q.owner], q)
		if len(v.owned[q.owner]) == 0 {
			delete(v.owned, q.owner)
		}
	}
	q.unusedAt, q.deadHead = 0, 0
	s.setDue(q, 0)
	all := q.all.take()
	q.consuming = consuming{}
	for _, c := range all {
		c.active, c.level, c.turn = false, nil, node[consumer]{}
	}
	messages = q.backlog.Len()
	if !s.afford(len(q.bindings)*bindingUnits + len(all)*endUnits + messages*forgetUnits) {
		w := q.detach()
		w.consumers = all
		s.removeLater(w)
		return messages
	}
	for len(q.bindings) > 0 {
		v.removeBinding(q.bindings[len(q.bindings)-1])
	}
	for _, c := range all {
		c.to.cancelled(c)
	}
	for q.backlog.Len() > 0 {
		q.forget(q.next())
	}
	return messages
}

// deleteWhenQuiet is delete for a queue that is deleted without a request. Messages that have
// died in it already are dead-lettered first.
func (q *queue) deleteWhenQuiet() {
	if q.busy() {
		q.doomed = true
		return
	}
	q.delete()
}

// dropOwner deletes the exclusive queues of a connection that has ended.
func (v *vhost) dropOwner(c *Conn) {
	for q := range v.owned[c] {
		q.deleteWhenQuiet()
	}
}

// declareExchange makes the exchange, or finds an equivalent one.
func (v *vhost) declareExchange(spec exchangeSpec) (*exchange, error) {
	spec.name = stripBreaks(spec.name)
	if exchangeTypes[spec.kind] == nil {
		return nil, &amqpproto.ConnectionError{Code: amqpproto.CommandInvalid, Text: "unknown exchange type '" + spec.kind + "'"}
	}
	if err := checkDefault(spec.name); err != nil {
		return nil, err
	}
	x := v.exchanges[spec.name]
	if x == nil {
		if err := checkName("exchange", spec.name); err != nil {
			return nil, err
		}
		if err := nameArgument(spec.args, "alternate-exchange", v.named("exchange", spec.name)); err != nil {
			return nil, err
		}
		if most := v.server.opts.ExchangesMax; most > 0 && len(v.exchanges) >= most {
			return nil, precondition("cannot declare exchange '%s': exchange limit in vhost '%s' (%d) is reached", spec.name, v.name, most)
		}
		x = v.makeExchange(spec)
		v.server.storeExchange(x)
	}
	return x, x.equivalent(spec)
}

// makeExchange makes an exchange whose name is not in use, without storing it. Recovery uses
// it, too.
func (v *vhost) makeExchange(spec exchangeSpec) *exchange {
	spec.args = append(amqpproto.RawTable(nil), spec.args...)
	x := newExchange(v, spec)
	v.exchanges[x.name] = x
	v.server.stats.Exchanges++
	return x
}

// equivalent returns the error for an exchange that is declared again with other properties.
func (x *exchange) equivalent(spec exchangeSpec) error {
	if x.exchangeSpec.kind != spec.kind {
		return inequivalent("type", x, "'"+spec.kind+"'", "'"+x.exchangeSpec.kind+"'")
	}
	for _, flag := range [...]struct {
		name      string
		have, got bool
	}{{"durable", x.durable, spec.durable}, {"auto_delete", x.autoDelete, spec.autoDelete}, {"internal", x.internal, spec.internal}} {
		if err := equalFlag(flag.have, flag.got, x, flag.name); err != nil {
			return err
		}
	}
	return equalArguments(x.args, spec.args, x, exchangeArguments)
}

// checkExchange is a passive declare.
func (v *vhost) checkExchange(name []byte) error {
	n := stripBreaks(string(name))
	if err := checkDefault(n); err != nil {
		return err
	}
	if v.exchanges[n] == nil {
		return v.noExchange(n)
	}
	return nil
}

// deleteExchange is exchange.delete. It is no error if the exchange does not exist.
func (v *vhost) deleteExchange(name []byte, ifUnused bool) error {
	n := stripBreaks(string(name))
	if err := checkDefault(n); err != nil {
		return err
	}
	if checkName("exchange", n) != nil {
		return refused("deletion of system %s not allowed", v.named("exchange", n))
	}
	x := v.exchanges[n]
	if x == nil {
		return nil
	}
	if ifUnused && len(x.bindings) > 0 {
		return precondition("%s in use", x)
	}
	x.delete()
	return nil
}
