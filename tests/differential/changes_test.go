package differential_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// change is something that RabbitMQ does differently since a later version than 3.10, which
// the embedded broker imitates. A program is compared up to the step in which it meets a
// change.
type change struct {
	since string
	what  string
	step  *regexp.Regexp        // in what either broker sends in that step
	when  func(*operation) bool // an operation of the program
}

var changes = []change{
	{since: "4.0", what: "a wrong type of exchange closes the channel (406) and not the connection (503)", step: regexp.MustCompile(`exchange\.declare.*type=`)},
	{since: "4.0", what: "each queue has a type, so the error for another type has another text", step: regexp.MustCompile(`inequivalent arg 'x-queue-type'`)},
	{since: "4.0", what: "basic.get from a quorum queue leaves out an x-delivery-count of 0", step: regexp.MustCompile(`x-delivery-count:l0`)},
	{since: "4.0", what: "x-max-priority = 0 is a queue with priorities", when: func(o *operation) bool { return fmt.Sprint(o.args["x-max-priority"]) == "0" }},
	{since: "4.0", what: "quorum queues use the priority of messages", step: regexp.MustCompile(`priority=\d`),
		when: func(o *operation) bool { return o.args["x-queue-type"] == "quorum" }},
	{since: "4.0", what: "a commit fails (406) if a queue that its messages were routed to has gone", step: regexp.MustCompile(`partial tx completion`)},
	{since: "4.0", what: "an expiration loses its plus sign", step: regexp.MustCompile(`expiration=\+`)},
	{since: "4.0", what: "a dead letter also has headers about its last death", step: regexp.MustCompile(`x-last-death-queue`)},
	{since: "4.3", what: "a quorum queue also counts how often a message was taken", step: regexp.MustCompile(`x-acquired-count`)},
	{since: "4.3", what: "a commit ends the connection (506) if a queue that its messages were routed to has gone", step: regexp.MustCompile(`connection\.close 506 .*tx\.commit`)},
	{since: "4.3", what: "a queue with a name of direct reply-to ends the connection (541)", step: regexp.MustCompile(`connection\.close 541[\s\S]*amq\.rabbitmq\.reply-to`)},
	{since: "4.3", what: "x-queue-mode has no effect", step: regexp.MustCompile(`queue\.declare.*x-queue-mode`)},
	{since: "4.0", what: "a client of another protocol is offered AMQP 1.0", step: regexp.MustCompile(`protocol header "AMQP\\x03`)},
}

// changed returns what a later version does differently in the step in which the transcripts
// differ first; "" if that is no known change.
func (p pair) changed(program []*operation, t, u *transcript) string {
	i := t.difference(u)
	if i < 0 || i >= len(t.steps) || i >= len(u.steps) {
		return ""
	}
	said := t.steps[i].what + "\n" + strings.Join(t.steps[i].lines, "\n") + "\n" + strings.Join(u.steps[i].lines, "\n")
	for _, c := range changes {
		if p.later[c.since] && (c.step == nil || c.step.MatchString(said)) && (c.when == nil || slices.ContainsFunc(program, c.when)) {
			return c.what
		}
	}
	return ""
}
