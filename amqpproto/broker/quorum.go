package broker

// quorumType is the type of queue that counts deliveries. RabbitMQ replicates it; we do not.
var quorumType = queueType{
	name:   "quorum",
	module: "rabbit_quorum_queue",
	arguments: []string{"x-dead-letter-exchange", "x-dead-letter-routing-key", "x-dead-letter-strategy", "x-expires",
		"x-max-length", "x-max-length-bytes", "x-max-in-memory-length", "x-max-in-memory-bytes", "x-overflow",
		"x-single-active-consumer", "x-queue-type", "x-quorum-initial-group-size", "x-delivery-limit", "x-message-ttl",
		"x-queue-leader-locator"},
	consumerArguments: []string{"x-priority", "x-credit"},
	countsDeliveries:  true,
	retiresAtOnce:     true,
	returnsFirst:      true,
	queueBehavior:     quorumBehavior{},
}

type quorumBehavior struct{}

func (quorumBehavior) checkProperties(q *queue) error {
	for _, wrong := range [...]struct {
		is   bool
		name string
	}{{q.autoDelete, "auto-delete"}, {q.exclusive, "exclusive-owner"}, {!q.durable, "non-durable"}} {
		if wrong.is {
			return precondition("invalid property '%s' for %s", wrong.name, q)
		}
	}
	return nil
}

// This looks wrong, but is right: a quorum queue accepts reject-publish-dlx, and then drops
// its head.
func (quorumBehavior) read(r *queueRules, args argumentValues) {
	r.deliveryLimit = max(args.number("x-delivery-limit", -1), -1)
}

// quorumReturns is the lane of returned entries, which go before all others.
const quorumReturns = 1

func (quorumBehavior) lanes(*queueRules) int { return 1 + quorumReturns }

func (quorumBehavior) laneOf(q *queue, _ *message, deliveries uint32) int {
	if deliveries > 0 && q.deliveryLimit >= 0 {
		return quorumReturns
	}
	return 0
}

// refuses makes a quorum queue refuse publishes that are too many.
func (quorumBehavior) refuses(q *queue, _ *message) bool { return q.over() }

// bringBack returns an entry to a queue that keeps no places. The entry goes before all
// others if its channel has ended or if the return counts towards a limit, and behind them
// otherwise.
func (quorumBehavior) bringBack(q *queue, e entry, ended bool) {
	e.deliveries++
	e.order = q.nextOrder
	q.nextOrder++
	switch {
	case q.deliveryLimit < 0 && !ended:
		q.add(0, e, false)
	case q.deliveryLimit >= 0 && int64(e.deliveries) > q.deliveryLimit:
		q.bury(e, deathDeliveryLimit)
	default:
		q.add(quorumReturns, e, false)
	}
}
