package publisher

import "time"

// History is everything on which the next step of a message depends: what its headers say,
// what they do not say because the message did not leave its queue, and the result of the
// last attempt.
type History struct {
	Failed  int // failed attempts that the headers record; see TraceAttempt and x-death
	Untold  int // further failed attempts, which no header records
	Crashes int // ends of a process with the message in hand that the headers record; see TraceCrashes
	Ends    int // further ends, which no header records
	// Alone says that at the last of Ends no other message was being handled. As far as
	// anybody can know, this message ended the process.
	Alone       bool
	Quarantined bool    // it was delivered by the quarantine of its queue
	Failure     Failure // how the attempt ended; none before the first
	// Asked is the delay that the failure asks for: a lower bound, among the delays that the
	// consumer has.
	Asked time.Duration
}

// Failure is how an attempt to handle a message failed.
type Failure uint8

const (
	FailureNone      Failure = iota // the message has not been handled
	FailurePassing                  // its handler returned a temporary error
	FailurePermanent                // its handler returned a permanent error
	FailureCutOff                   // a drain ended its call: that is not the message's fault
	FailureMalformed                // no handler can read its properties
)

// A Step is what happens to a message next.
type Step uint8

const (
	StepHandle     Step = iota // its handler is called
	StepQuarantine             // it moves to the quarantine of its queue
	StepRetry                  // it is handled again, after a delay
	StepDead                   // it is given up
)

// A Trial says which other messages may be handled at the same time.
type Trial uint8

const (
	TrialNone  Trial = iota // all of them
	TrialApart              // all except others that may have ended a process
	TrialAlone              // none: with one more end, this message is given up
)

// Next is the next step of a message, with its details.
type Next struct {
	Step   Step
	Trial  Trial         // for StepHandle
	Delay  time.Duration // for StepRetry; 0 gives the message back to its queue
	Reason string        // for StepDead: a Reason constant
}

// Attempt returns the number of the attempt, 1 for the first.
func (h *History) Attempt() int { return 1 + h.Failed + h.Untold + h.Crashes + h.Ends }

// Next decides the next step of a message of consumer c. It depends only on its arguments.
func (h *History) Next(c *Consumer) Next {
	final := c.NoAck || c.AutoAck
	switch h.Failure {
	case FailureMalformed:
		return Next{Step: StepDead, Reason: ReasonMalformed}
	case FailurePermanent:
		return Next{Step: StepDead, Reason: ReasonPermanent}
	case FailureCutOff:
		if final {
			return Next{Step: StepDead, Reason: ReasonAttempts}
		}
		return Next{Step: StepRetry}
	case FailurePassing:
		delay, again := c.Retry.Delay(h.Failed + h.Untold + 1)
		if final || !again {
			return Next{Step: StepDead, Reason: ReasonAttempts}
		}
		return Next{Step: StepRetry, Delay: c.Retry.atLeast(delay, h.Asked)}
	}
	if h.Crashes+h.Ends == 0 || final || c.Retry.Crashes < 0 || c.Type() == QueueStream {
		return Next{Step: StepHandle}
	}
	return h.afterCrash(c)
}

// afterCrash decides the next step of a message that was in hand when a process ended. An end
// with other messages in hand never gives the message up.
func (h *History) afterCrash(c *Consumer) Next {
	ends := h.Crashes + h.Ends
	switch {
	case h.Ends > 0 && h.Alone && c.Retry.IsCrashed(ends):
		return Next{Step: StepDead, Reason: ReasonCrashed}
	case h.Ends > 0 && c.Quarantines():
		return Next{Step: StepQuarantine} // within the quarantine it moves to the end of the queue
	case h.Ends == 0 && !h.Quarantined:
		return Next{Step: StepHandle} // the ends that the headers record have had their trial
	case c.Retry.IsCrashed(ends + 1):
		return Next{Step: StepHandle, Trial: TrialAlone}
	}
	return Next{Step: StepHandle, Trial: TrialApart}
}
