package publisher

import (
	"strings"
	"time"
)

// Retry limits the attempts for a message after temporary failures of its handler. The zero
// value means 5 attempts, 1 s to 60 s apart.
//
// A failed message goes to a retry queue, which gives it back after the delay; see
// [Retry.Delays] and [RetryQueue]. With InPlace it waits in this process instead, unacked.
// The same holds for messages of streams and of lanes, and for messages whose queue ends with
// the connection or is not declared by us.
type Retry struct {
	// Attempts is the number of all attempts, including the first; 1 means no retry.
	Attempts int `key:"attempts" min:"1" max:"1000"`
	// Min is the first delay. It doubles up to Max.
	Min time.Duration `key:"min" min:"1ms" max:"24h" unit:"ms"`
	Max time.Duration `key:"max" min:"1ms" max:"168h" unit:"ms"`
	// InPlace makes failed messages wait in this process, not in a queue of the broker.
	InPlace bool `key:"in_place"`
	// Crashes is how often a process may end with the message in hand before it is given up;
	// 0 is 3, less than 0 is no limit.
	Crashes int `key:"crashes" min:"1" max:"1000" off:"a message may end the process any number of times" zero:"-1"`
}

// Defaults of [Retry].
const (
	RetryAttempts = 5
	RetryMin      = time.Second
	RetryMax      = time.Minute
	RetryCrashes  = 3
)

// Delay returns the delay before the next attempt after the given number of failed attempts, and
// whether there is a next attempt.
func (r Retry) Delay(failed int) (time.Duration, bool) {
	r = r.WithDefaults()
	if failed >= r.Attempts {
		return 0, false
	}
	d := r.Min
	for i := 1; i < failed && d < r.Max; i++ {
		d *= 2
	}
	return min(d, r.Max), true
}

// Delays returns the different delays, the shortest first. Each has a queue of its own,
// because a queue drops expired messages only at its head: behind a long delay, a short one
// would take as long as the long one.
func (r Retry) Delays() (delays []time.Duration) {
	for failed := 1; ; failed++ {
		d, again := r.Delay(failed)
		if !again || len(delays) > 0 && d == delays[len(delays)-1] {
			return delays
		}
		delays = append(delays, d)
	}
}

// atLeast returns the first delay that is at least as long as the given one, or the longest
// delay if there is none.
func (r Retry) atLeast(delay, asked time.Duration) time.Duration {
	if delay >= asked {
		return delay
	}
	delays := r.Delays()
	for _, d := range delays {
		if d >= asked {
			return d
		}
	}
	return delays[len(delays)-1]
}

// IsCrashed reports whether a message must be given up after that many processes have ended
// with it in hand.
func (r Retry) IsCrashed(crashes int) bool {
	r = r.WithDefaults()
	return r.Crashes > 0 && crashes >= r.Crashes
}

// WithDefaults returns r with the defaults for unset fields.
func (r Retry) WithDefaults() Retry {
	if r.Attempts == 0 {
		r.Attempts = RetryAttempts
	}
	if r.Min == 0 {
		r.Min = RetryMin
	}
	if r.Max == 0 {
		r.Max = max(RetryMax, r.Min)
	}
	if r.Crashes == 0 {
		r.Crashes = RetryCrashes
	}
	return r
}

// RetryQueue returns the name of the queue in which messages of a queue wait for their next
// attempt, such as "billing.retry.1m30s".
func RetryQueue(queue string, delay time.Duration) string {
	text := delay.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return queue + ".retry." + text
}

// QuarantineQueue returns the name of the queue for messages of a queue that were in hand when a
// process ended. They are handled one at a time, so that the next end of a process shows which
// message was the cause.
func QuarantineQueue(queue string) string { return queue + ".quarantine" }

// OldQuarantineQueue returns the name of the quarantine in older versions.
func OldQuarantineQueue(queue string) string { return queue + ".suspects" }

// DeadQueue returns the name of the dead-letter queue of a queue, unless its consumer names
// another one.
func DeadQueue(queue string) string { return queue + ".dead" }

// RetriesInQueues reports whether the consumer's failed messages wait in queues of the
// broker. They do if their own queue outlives the connection and is declared by us, and if
// their order does not matter.
func (c *Consumer) RetriesInQueues() bool {
	return c.ownsQueue() && c.Type() != QueueStream && c.Lane == "" && !c.Retry.InPlace && !c.NoAck && !c.AutoAck
}

// Quarantines reports whether the consumer has a quarantine. It needs messages that can be
// moved, a handler, and a limit for ends of processes.
func (c *Consumer) Quarantines() bool {
	return c.RetriesInQueues() && c.Retry.Crashes >= 0 && !c.DeclareOnly
}

// Type returns the type of the queue, from QueueType or from its arguments.
func (c *Consumer) Type() string {
	if given, ok := c.Arguments["x-queue-type"].(string); ok && c.QueueType == "" {
		return given
	}
	return c.QueueType
}

// ownsQueue reports whether we declare the queue and it outlives the connection.
func (c *Consumer) ownsQueue() bool {
	return !c.ServerNamed && !c.Exclusive && !c.Transient && !c.AutoDelete && !c.NoDeclare && !c.NoDeclareQueue
}

// DeadLetterQueue returns the queue to which the consumer's given-up messages are published.
// It is "" if they are only refused: the dead-letter exchange of their queue gets them, if
// there is one. That is so for a queue with the argument x-dead-letter-exchange. Unless
// DeadLetter is set, it is also so for a queue that we do not declare, or that ends with the
// connection.
func (c *Consumer) DeadLetterQueue() string {
	switch {
	case c.DeadLetter == "off":
		return ""
	case c.DeadLetter != "":
		return c.DeadLetter
	}
	_, given := c.Arguments["x-dead-letter-exchange"]
	if given || c.NoAck || !c.ownsQueue() || c.Queue == "" {
		return ""
	}
	return DeadQueue(c.Queue)
}
