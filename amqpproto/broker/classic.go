package broker

// classicType is a queue that keeps a place for each message: a returned message goes back to
// its old place.
var classicType = queueType{
	name:   "classic",
	module: "rabbit_classic_queue",
	arguments: []string{"x-expires", "x-message-ttl", "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-max-length",
		"x-max-length-bytes", "x-max-priority", "x-overflow", "x-queue-mode", "x-queue-version", "x-single-active-consumer",
		"x-queue-type", "x-queue-master-locator"},
	consumerArguments:  []string{"x-cancel-on-ha-failover", "x-priority", "x-credit"},
	serverNamed:        true,
	conditionalDelete:  true,
	channelPrefetch:    true,
	exclusiveConsumers: true,
	queueBehavior:      classicBehavior{},
}

type classicBehavior struct{}

func (classicBehavior) checkProperties(*queue) error { return nil }

func (classicBehavior) read(r *queueRules, args argumentValues) {
	r.maxPriority = int16(args.number("x-max-priority", -1))
	if how, _ := args.text("x-overflow"); how == "reject-publish-dlx" {
		r.overflow = rejectPublishDLX
	}
}

// lanes returns the number of lanes, one for each priority.
func (classicBehavior) lanes(r *queueRules) int { return 1 + int(max(r.maxPriority, 0)) }

func (classicBehavior) laneOf(q *queue, m *message, _ uint32) int {
	if q.maxPriority < 0 {
		return 0
	}
	return int(min(max(m.priority, 0), q.maxPriority))
}

func (classicBehavior) refuses(q *queue, m *message) bool {
	return q.maxLength >= 0 && int64(q.backlog.Len()+1) > q.maxLength ||
		q.maxBytes >= 0 && q.bytes+int64(m.bodyLen) > q.maxBytes
}

func (classicBehavior) bringBack(q *queue, e entry, _ bool) {
	q.add(q.typ.laneOf(q, e.msg, 0), e, true)
}
