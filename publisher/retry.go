package publisher

import (
	"strings"
	"time"
)

// Retry bounds the attempts for a message whose handler failed in a way that
// may pass. The zero value means 5 attempts, 1 s to 60 s apart.
//
// A failed message goes to a queue beside its own, which gives it back after
// the delay; see [Retry.Delays] and [RetryQueue]. In place, it waits in this
// process instead, unacked: so do messages whose queue ends with the connection
// or is not ours to declare, those of streams and of lanes.
type Retry struct {
	// Attempts counts all attempts, also the first; 1 means no retry.
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

// Delay returns the pause before the attempt that follows the given number of
// failed ones, and whether there is to be one.
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

// Delays are the different pauses, the shortest first. Each has its queue: a
// queue drops expired messages only from its head, so that a short delay behind
// a long one would take as long as that.
func (r Retry) Delays() (delays []time.Duration) {
	for failed := 1; ; failed++ {
		d, again := r.Delay(failed)
		if !again || len(delays) > 0 && d == delays[len(delays)-1] {
			return delays
		}
		delays = append(delays, d)
	}
}

// atLeast is the first of the delays that is not below the one that was asked for, or
// else the longest.
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

// IsCrashed reports whether a message that was in hand at the end of that many
// processes is to be given up.
func (r Retry) IsCrashed(crashes int) bool {
	r = r.WithDefaults()
	return r.Crashes > 0 && crashes >= r.Crashes
}

// WithDefaults has the defaults where r says nothing.
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

// RetryQueue is the name of the queue in which messages of another wait for
// their next attempt: "billing.retry.1m30s".
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

// QuarantineQueue is the name of the queue in which messages of another wait that
// were in hand when a process ended. They are handled one at a time, so that
// the next end of a process says which of them it was.
func QuarantineQueue(queue string) string { return queue + ".quarantine" }

// OldQuarantineQueue is the name that older versions gave to the quarantine.
func OldQuarantineQueue(queue string) string { return queue + ".suspects" }

// DeadQueue is the name of the queue for the given-up messages of another, unless
// its consumer names one.
func DeadQueue(queue string) string { return queue + ".dead" }

// RetriesInQueues reports whether the consumer's failed messages wait in queues
// of the broker: where their own queue outlives the connection, is declared by
// us and has no order to keep.
func (c *Consumer) RetriesInQueues() bool {
	return c.ownsQueue() && c.Type() != QueueStream && c.Lane == "" && !c.Retry.InPlace && !c.NoAck && !c.AutoAck
}

// Quarantines reports whether the consumer has a quarantine: where its messages
// can move, and somebody handles them, and their ends of processes are counted.
func (c *Consumer) Quarantines() bool {
	return c.RetriesInQueues() && c.Retry.Crashes >= 0 && !c.DeclareOnly
}

// Type is the type of the queue: QueueType, or what its arguments say.
func (c *Consumer) Type() string {
	if given, ok := c.Arguments["x-queue-type"].(string); ok && c.QueueType == "" {
		return given
	}
	return c.QueueType
}

// ownsQueue reports whether the queue is ours to declare and outlives us.
func (c *Consumer) ownsQueue() bool {
	return !c.ServerNamed && !c.Exclusive && !c.Transient && !c.AutoDelete && !c.NoDeclare && !c.NoDeclareQueue
}

// DeadLetterQueue is where the consumer's given-up messages are published to; ""
// where they are only refused, for the dead-letter exchange of the queue if it
// has one. That is so with an x-dead-letter-exchange among its arguments, and
// for queues that are not ours to declare or end with the connection, unless a
// DeadLetter is named.
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
