package client

import (
	"errors"
	"time"

	"zamqp/amqpproto"
)

// State says what a consumer or producer waits for.
type State uint8

// The states, in the order of a life without trouble.
const (
	AwaitConnection State = iota // there is none, or it is not open yet
	AwaitChannel                 // channel.open-ok
	AwaitTopology                // the answers to declarations
	AwaitQosOk                   // basic.qos-ok
	AwaitConsumeOk               // basic.consume-ok
	Up                           // declared, and consuming if it is to consume
	AwaitRetry                   // it failed: see Err
	AwaitPauseOk                 // Pause was called: basic.cancel-ok
	Paused                       // declared; Resume goes on
	AwaitCancelOk                // Cancel was called
	Cancelled                    // for good
)

var stateNames = [...]string{"awaiting a connection", "awaiting channel.open-ok", "awaiting its topology",
	"awaiting basic.qos-ok", "awaiting basic.consume-ok", "up", "awaiting its retry",
	"awaiting its pause", "paused", "awaiting basic.cancel-ok", "cancelled"}

func (s State) String() string { return stateNames[s] }

// registration is what a consumer and a producer have in common: a topology, a separate
// channel on which it is declared, so that a bad declaration affects no other, and a backoff.
type registration struct {
	client   *Client
	role     role
	name     string
	topology *Topology

	state    State
	err      error // why it is not up; nil while it is up, or before the first try
	conn     *Conn // the connection to which names given by the broker belong
	ch       *channel
	replay   declaration
	backoff  backoff
	failed   int64 // time of the first failure since it was last up; 0 = none
	rejected bool  // the broker has closed the connection because of our declaration
	retry    deadline
}

// role is the difference between a consumer and a producer.
type role interface {
	owner
	declared() error    // the topology has been declared
	lose()              // the channel is gone, for whatever reason
	ended()             // the cancel is complete
	closed()            // we closed the channel, and it is closed now
	failure() EventKind // the event that reports a failure
}

// enter initializes a new registration.
func (s *registration) enter(c *Client, r role, name string, t *Topology) {
	s.client, s.role, s.name, s.topology = c, r, name, t
	c.trust.add(t)
	s.backoff = backoff{min: c.cfg.BackoffMin, max: c.cfg.BackoffMax}
}

// start replays the registration on the client's connection. If it still has its
// channel, it uses that one.
func (s *registration) start() {
	conn := s.client.conn
	s.retry.stop()
	s.rejected = false
	s.replay.reset(s.topology, &s.client.has, s.conn == conn)
	s.conn = conn
	if s.ch != nil {
		s.check(s.step())
		return
	}
	s.state = AwaitChannel
	ch, err := conn.openChannel(s.role)
	if err != nil {
		s.fail(err)
		return
	}
	s.ch = ch
}

// opened is called by the channel.
func (s *registration) opened() error { return s.step() }

// step sends the next declaration, or calls declared after the last one.
func (s *registration) step() error {
	s.state = AwaitTopology
	done, err := s.replay.next(s.ch)
	if err != nil {
		s.ch.close(err) // our own error: a name or table that cannot be encoded
		return nil
	}
	if done {
		return s.role.declared()
	}
	return nil
}

func (s *registration) cancelling() bool { return s.state >= AwaitCancelOk }

// check ends the connection if an error occurred outside of Feed.
func (s *registration) check(err error) {
	if err != nil && s.client.conn != nil {
		s.client.conn.abort(err)
	}
}

// stepAnswered takes an answer while the topology is declared.
func (s *registration) stepAnswered(id amqpproto.MethodID, args []byte) error {
	if err := s.replay.took(id, args); err != nil {
		return err
	}
	return s.step()
}

// isUp records that the registration works.
func (s *registration) isUp() {
	s.state, s.err, s.failed = Up, nil, 0
	s.backoff.up(s.client.clock.now)
}

// onChannelOver is called by the channel when it has ended. A nil cause means that
// we closed it.
func (s *registration) onChannelOver(cause error) {
	s.ch = nil
	s.role.lose()
	switch {
	case cause != nil:
		s.fail(cause)
	default:
		s.role.closed()
	}
}

// fail makes the registration wait for its retry. Other registrations are not
// affected.
func (s *registration) fail(cause error) {
	if (s.state == AwaitTopology || s.state == AwaitConsumeOk) && s.replay.what != "" {
		if s.replay.declares > 0 {
			s.conn = nil // the error may be about a name that the broker gave
		}
		cause = explain(&TopologyError{Name: s.name, Step: s.replay.what, Err: cause})
	} else {
		cause = explainUse(cause)
	}
	if s.cancelling() {
		s.role.ended()
		return
	}
	s.err = cause
	s.state = AwaitRetry
	after := s.pause(cause)
	s.retry.set(after)
	s.client.rearm = true
	s.client.note(Event{Kind: s.role.failure(), Name: s.name, Err: cause, After: after})
	s.client.handOn(s)
}

// pause returns how long to wait before the next try. A failure while a broker
// starts or a node is away may pass at any moment, so such a pause is short.
func (s *registration) pause(cause error) time.Duration {
	now := s.client.clock.now
	if s.failed == 0 {
		s.failed = max(now, 1)
	}
	var ce *amqpproto.ChannelError
	passing := isPassing(cause)
	if !s.rejected && (passing || errors.As(cause, &ce) && ce.Code != amqpproto.PreconditionFailed && s.client.absence.settling(now)) {
		s.backoff.down(now)
		return s.backoff.pace(s.client.rnd, time.Duration(now-s.failed))
	}
	return s.backoff.next(s.client.rnd, now)
}

// lost is called when the connection is gone or no longer usable.
func (s *registration) lost() {
	if s.ch == nil && s.state == AwaitConnection {
		return
	}
	s.ch = nil
	s.conn = nil
	s.role.lose()
	if s.cancelling() {
		s.role.ended()
		return
	}
	if s.state == AwaitRetry && s.retry.armed() && s.rejected {
		return // it keeps its own delay across a reconnect
	}
	s.retry.stop()
	s.state = AwaitConnection
}

// declarationRefused is called when the broker closed the whole connection because
// of a method that this registration had in flight. RabbitMQ does so for an unknown
// exchange type (503) and, since 4.3, for a transient queue that is not exclusive
// (541). Without this call the registration would declare the same on every new
// connection, and each time all others would lose their connection too.
func (s *registration) declarationRefused(cause error) {
	s.ch = nil
	s.rejected = true
	s.fail(cause)
}
