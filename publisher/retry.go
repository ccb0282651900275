package publisher

import (
	"strings"
	"time"
)

// Retry bounds the attempts for a message whose handler failed in a way that may pass. The zero
// value means 5 attempts, 1 s to 60 s apart.
//
// A failed message goes to a retry queue, which gives it back after the delay; see
// [Retry.Delays] and [RetryQueue]. With InPlace it waits in this process instead, unacked. So do
// messages of streams and of lanes, and messages whose queue ends with the connection or is not
// declared by us.
type Retry struct {
	// Attempts is the number of all attempts, including the first; 1 means no retry.
	Attempts int `key:"attempts" min:"1" max:"1000"`
	// Min is the first delay. It doubles up to Max.
	Min time.Duration `key:"min" min:"1ms" max:"24h" unit:"ms"`
	Max time.Duration `key:"max" min:"1ms" max:"168h" unit:"ms"`
	// InPlace waits in this process, not in a queue of the broker.
	InPlace bool `key:"in_place"`
	// Crashes is how many times a process may end with it in hand; 0 is 3, less than 0 no bound.
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

// Delays returns the different delays, the shortest first. Each has a queue of its own, because
// a queue drops expired messages only at its head: a short delay behind a long one would take as
// long as the long one.
func (r Retry) Delays() (delays []time.Duration) {
	for failed := 1; ; failed++ {
		d, again := r.Delay(failed)
		if !again || len(delays) > 0 && d == delays[len(delays)-1] {
			return delays
		}
		delays = append(delays, d)
	}
}

// atLeast returns the first delay that is not shorter than the one asked for, or the longest
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

// IsCrashed reports whether a message is to be given up that was in hand when that many processes
// ended.
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

// RetriesInQueues reports whether the consumer's failed messages wait in queues of the broker.
// They do if their own queue outlives the connection, is declared by us, and has no order to
// keep.
func (c *Consumer) RetriesInQueues() bool {
	return c.ownsQueue() && c.Type() != QueueStream && c.Lane == "" && !c.Retry.InPlace && !c.NoAck && !c.AutoAck
}

// Quarantines reports whether the consumer has a quarantine: its messages can move, they have a
// handler, and their ends of processes are counted.
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

// DeadLetterQueue returns the queue to which the consumer's given-up messages are published. It
// is "" if they are only refused, for the dead-letter exchange of their queue if it has one.
// That is so for a queue with the argument x-dead-letter-exchange and, unless DeadLetter is set,
// for a queue that we do not declare or that ends with the connection.
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
