package publisher_test

import (
	"testing"
	"time"

	"zamqp/publisher"
)

// TestHistoryNext is the table of what happens to a message.
func TestHistoryNext(t *testing.T) {
	type h = publisher.History
	type next = publisher.Next
	var (
		usual      = publisher.Consumer{Queue: "q"}
		lane       = publisher.Consumer{Queue: "q", Lane: "queue"}
		quorum     = publisher.Consumer{Queue: "q", QueueType: publisher.QueueQuorum}
		stream     = publisher.Consumer{Queue: "q", QueueType: publisher.QueueStream}
		noAck      = publisher.Consumer{Queue: "q", NoAck: true}
		autoAck    = publisher.Consumer{Queue: "q", AutoAck: true}
		unbound    = publisher.Consumer{Queue: "q", Retry: publisher.Retry{Crashes: -1}}
		first      = publisher.Consumer{Queue: "q", Retry: publisher.Retry{Crashes: 1}}
		once       = publisher.Consumer{Queue: "q", Retry: publisher.Retry{Attempts: 1}}
		attempts   = publisher.Consumer{Queue: "q", Retry: publisher.Retry{Attempts: 3, Min: time.Second, Max: time.Minute}}
		handle     = next{Step: publisher.StepHandle}
		apart      = next{Step: publisher.StepHandle, Trial: publisher.TrialApart}
		alone      = next{Step: publisher.StepHandle, Trial: publisher.TrialAlone}
		quarantine = next{Step: publisher.StepQuarantine}
		back       = next{Step: publisher.StepRetry}
		dead       = func(reason string) next { return next{Step: publisher.StepDead, Reason: reason} }
		after      = func(d time.Duration) next { return next{Step: publisher.StepRetry, Delay: d} }
	)
	for _, row := range []struct {
		name string
		c    publisher.Consumer
		h    h
		want next
	}{
		{"new", usual, h{}, handle},
		{"came from its retry queue", usual, h{Failed: 2}, handle},
		{"was in hand at an end", usual, h{Ends: 1, Alone: true}, quarantine},
		{"was in hand with others at many ends", usual, h{Ends: 9}, quarantine},
		{"was in hand at an end, of a quorum queue", quorum, h{Ends: 1}, quarantine},
		{"in the quarantine", usual, h{Crashes: 1, Quarantined: true}, apart},
		{"in the quarantine, the last time", usual, h{Crashes: 2, Quarantined: true}, alone},
		{"in the quarantine, over the bound by ends that it shared", usual, h{Crashes: 7, Quarantined: true}, alone},
		{"ended a process from the quarantine", usual, h{Crashes: 1, Ends: 1, Alone: true, Quarantined: true}, quarantine},
		{"ended the last process from the quarantine", usual, h{Crashes: 2, Ends: 1, Alone: true, Quarantined: true}, dead(publisher.ReasonCrashed)},
		{"was not alone at the last end", usual, h{Crashes: 2, Ends: 1, Quarantined: true}, quarantine},
		{"failed after its trial, and came back", usual, h{Crashes: 2, Failed: 1}, handle},
		{"came back from its trial and shared an end", usual, h{Crashes: 2, Ends: 1, Failed: 1}, quarantine},
		{"a bound of one end, shared", first, h{Ends: 1}, quarantine},
		{"a bound of one end, tried", first, h{Crashes: 1, Quarantined: true}, alone},
		{"a bound of one end, alone", first, h{Crashes: 1, Ends: 1, Alone: true, Quarantined: true}, dead(publisher.ReasonCrashed)},
		{"no bound", unbound, h{Crashes: 9, Ends: 9, Alone: true}, handle},
		{"in its lane", lane, h{Ends: 1}, apart},
		{"in its lane, the last time", lane, h{Ends: 2}, alone},
		{"in its lane, shared the last end", lane, h{Ends: 3}, alone},
		{"in its lane, ended the last process", lane, h{Ends: 3, Alone: true}, dead(publisher.ReasonCrashed)},
		{"a stream", stream, h{Ends: 9, Alone: true}, handle},
		{"acked before", autoAck, h{Ends: 9, Alone: true}, handle},
		{"never acked", noAck, h{Ends: 9, Alone: true}, handle},

		{"failed", attempts, h{Failure: publisher.FailurePassing}, after(time.Second)},
		{"failed again", attempts, h{Failed: 1, Failure: publisher.FailurePassing}, after(2 * time.Second)},
		{"failed again in place", attempts, h{Untold: 1, Failure: publisher.FailurePassing}, after(2 * time.Second)},
		{"failed too often", attempts, h{Failed: 1, Untold: 1, Failure: publisher.FailurePassing}, dead(publisher.ReasonAttempts)},
		{"ends of processes are no failed attempts", attempts, h{Crashes: 2, Ends: 2, Failure: publisher.FailurePassing}, after(time.Second)},
		{"one attempt", once, h{Failure: publisher.FailurePassing}, dead(publisher.ReasonAttempts)},
		{"failed, acked before", autoAck, h{Failure: publisher.FailurePassing}, dead(publisher.ReasonAttempts)},
		{"failed, never acked", noAck, h{Failure: publisher.FailurePassing}, dead(publisher.ReasonAttempts)},
		{"failed for good", attempts, h{Failure: publisher.FailurePermanent}, dead(publisher.ReasonPermanent)},
		{"cut off", once, h{Failed: 9, Failure: publisher.FailureCutOff}, back},
		{"cut off, acked before", autoAck, h{Failure: publisher.FailureCutOff}, dead(publisher.ReasonAttempts)},
		{"malformed", usual, h{Failure: publisher.FailureMalformed}, dead(publisher.ReasonMalformed)},
	} {
		if got := row.h.Next(&row.c); got != row.want {
			t.Errorf("%s: %+v, want %+v", row.name, got, row.want)
		}
	}
}

func TestHistoryCountsAttempts(t *testing.T) {
	h := publisher.History{Failed: 1, Untold: 2, Crashes: 4, Ends: 8}
	if n := h.Attempt(); n != 16 {
		t.Error(n)
	}
}
