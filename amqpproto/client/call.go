package client

import "time"

// Reply hears the outcome of a Call: exactly once for each that Call accepted,
// later than Call returns.
//
//	d, nil    the reply; d and its slices die when Replied returns, and there is
//	          nothing to settle
//	nil, err  a *ReturnError if no queue took a mandatory request, ErrNacked,
//	          ErrReplyTimeout, a *LostError, ErrClosed, or the
//	          *amqpproto.ChannelError that closed the channel of the calls, as a
//	          request to an exchange that does not exist does
type Reply interface {
	Replied(d *Delivery, err error)
}

// CallID names a call that is under way.
type CallID uint64

// Call publishes a request and waits for its reply. reply_to and correlation_id
// are filled in, whatever o.RawProperties say of them; all of o is copied. Any
// number of calls may be under way, over one channel of their own: by direct
// reply-to, or Config.ReplyQueue. p is the gate as with Publish and may be nil.
//
// While the request cannot leave it waits, as a publish does, and counts towards
// PublishMax until its outcome. After timeout, which starts at the next Tick, the
// outcome is ErrReplyTimeout; a reply that comes later is counted and dropped. An
// error says that nothing was kept and r hears nothing: ErrPublishMax, ErrClosed,
// or what is wrong with o.
func (c *Client) Call(p *Producer, o *Outgoing, timeout time.Duration, r Reply) (CallID, error) {
	return 0, ErrClosed
}

// Forget ends a call whose outcome nobody wants any more: its Reply hears
// nothing. It reports false, and does nothing, if the outcome has been told.
func (c *Client) Forget(id CallID) bool { return false }

// Calls is the number of calls that have no outcome.
func (c *Client) Calls() int { return 0 }
