package amqpdoor

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"zamqp/publisher"
)

// A death is what the log and the metrics say about a message that is given up, as soon as
// it is known where the message has gone.
type death struct {
	reason    string // a Reason constant
	attempts  int
	messageID string
	err       error
}

// reasons lists all reasons, so that each has a metric from the start.
var reasons = []string{publisher.ReasonAttempts, publisher.ReasonCrashed, publisher.ReasonMalformed, publisher.ReasonPermanent}

func deathOf(c *publisher.Call) *death {
	reason := c.Outcome().Reason
	return &death{
		reason: reason, attempts: failedAttempts(c.Message(), reason),
		messageID: strings.ToValidUTF8(string(c.Request().MessageID()), "?"), err: c.Outcome().Err,
	}
}

// failedAttempts returns how many attempts have ended with an error of the handler.
func failedAttempts(m *publisher.Message, reason string) int {
	failed := m.History.Failed + m.History.Untold
	if reason != publisher.ReasonCrashed && reason != publisher.ReasonMalformed {
		failed++ // the attempt that has just failed
	}
	return failed
}

// moved is called when the dead-letter queue has the message.
func (d *death) moved(k *consumer, queue string) {
	k.count(d.reason)
	d.entry(k).Str("queue", queue).Msgf("given up after %s, now in %s: zamqp dead show %s", d.times(), queue, shellWord(queue))
}

// refused is called before the message is refused, for the dead-letter exchange of its queue
// if there is one.
func (d *death) refused(sub *subscription) {
	sub.k.count(d.reason)
	where := "it is refused, and gone if its queue has no dead-letter exchange"
	switch {
	case sub.isFinal():
		where = "its consumer acks before it handles, and has no dead-letter queue: it is gone"
	case sub.hasDeadLetters():
		where = "it is refused, for the dead-letter exchange of its queue"
	}
	d.entry(sub.k).Msgf("given up after %s: %s", d.times(), where)
}

func (d *death) entry(k *consumer) *zerolog.Event {
	return k.link.door.log.Error().Err(d.err).Str("consumer", k.name).Str("reason", d.reason).
		Int("attempts", d.attempts).Str("message_id", d.messageID)
}

func (d *death) times() string {
	if d.attempts == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", d.attempts)
}

// shellWord quotes a name that comes from elsewhere for a command line, if that is necessary.
func shellWord(name string) string {
	plain := name != "" && strings.IndexFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-:/@", c))
	}) < 0
	if plain && name[0] != '-' {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// count counts a dead letter.
func (k *consumer) count(reason string) {
	for i := range reasons {
		if reasons[i] == reason {
			k.deaths[i]++
		}
	}
}

// measureFailures appends the numbers of failed messages.
func (k *consumer) measureFailures(dst []publisher.Metric) []publisher.Metric {
	connection, name := publisher.Label{Name: "connection", Value: k.link.name}, publisher.Label{Name: "consumer", Value: k.name}
	dst = publisher.AppendMetrics(dst, []publisher.Label{connection, name},
		publisher.Metric{Name: "consumer_retries_total", Help: "Failed attempts of messages after which there is another attempt.", Value: float64(k.retries)})
	for i, reason := range reasons {
		dst = publisher.AppendMetrics(dst, []publisher.Label{connection, name, {Name: "reason", Value: reason}},
			publisher.Metric{Name: "consumer_dead_letters_total", Help: "Messages that were given up: attempts (as often as retry allows), permanent (a permanent error), crashed (ended the process each time), malformed (no handler can read them).", Value: float64(k.deaths[i])})
	}
	return dst
}
