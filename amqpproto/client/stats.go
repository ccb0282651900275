package client

// Stats counts what happened since New. Counters only rise.
type Stats struct {
	Published   uint64 // accepted by Publish
	Confirmed   uint64 // acked by the broker
	Nacked      uint64
	Returned    uint64
	Expired     uint64 // had no outcome within ConfirmTimeout
	Unconfirmed uint64 // ended with their connection or channel

	Resent              uint64 // publishes sent again over a new channel, as the one before ended or refused them
	ResentIndeterminate uint64 // of those, the broker may have had the first copy: possible duplicates
	Renewed             uint64 // publish channels replaced for nacks or stalled confirms

	Delivered     uint64 // given to a Sink
	Redelivered   uint64 // of those, with the redelivered flag
	Acked         uint64 // each one settled as ack, however many share a frame
	AckFrames     uint64 // basic.ack frames that carried them
	Rejected      uint64 // basic.reject and basic.nack
	OldEpoch      uint64 // settled after their channel was gone, dropped
	DoubleSettled uint64 // settled twice, or never delivered, ignored
	HandedBack    uint64 // arrived after Cancel or Close, returned to the broker

	Requests        uint64 // accepted by Call
	Replies         uint64 // of those, answered in time
	RequestTimeouts uint64 // of those, not
	LateReplies     uint64 // came when their request had its outcome, dropped
	Gets            uint64 // messages that a Get brought

	Connects       uint64 // opened
	Reconnects     uint64 // of those, after the first
	ChannelErrors  uint64 // channels that the broker closed
	HeartbeatsSent uint64
	HeartbeatsSeen uint64
	OctetsIn       uint64
	OctetsOut      uint64
}
