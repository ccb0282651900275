package broker

// quorumType is the queue that counts deliveries. RabbitMQ replicates it; we do
// not.
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

// looks wrong, but is right: a quorum queue accepts reject-publish-dlx, and drops
// its head then.
func (quorumBehavior) read(r *queueRules, args argumentValues) {
	r.deliveryLimit = max(args.number("x-delivery-limit", -1), -1)
}

// quorumReturns is the lane of entries that have come back and go before all
// others.
const quorumReturns = 1

func (quorumBehavior) lanes(*queueRules) int { return 1 + quorumReturns }

func (quorumBehavior) laneOf(q *queue, _ *message, deliveries uint32) int {
	if deliveries > 0 && q.deliveryLimit >= 0 {
		return quorumReturns
	}
	return 0
}

// refuses makes a quorum queue tell its publishers that it is too long.
func (quorumBehavior) refuses(q *queue, _ *message) bool { return q.over() }

// bringBack gives an entry back to a queue that keeps no places. The entry goes
// before all others if its channel has ended or if the return counts towards a
// limit, else behind them.
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
