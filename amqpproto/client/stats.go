package client

import "zamqp/loop/histogram"

// Stats counts what happened since New. Counters only rise.
type Stats struct {
	Published   uint64 // accepted by Publish
	Confirmed   uint64 // acked by the broker
	Nacked      uint64
	Returned    uint64
	Expired     uint64 // had no outcome within ConfirmTimeout
	Unconfirmed uint64 // ended with their connection or channel

	Resent              uint64 // publishes resent over a new channel, because the old one ended or nacked them
	ResentIndeterminate uint64 // how many of those may be duplicates, because the broker may have the first copy
	Renewed             uint64 // publish channels replaced for nacks or stalled confirms

	Delivered     uint64 // given to a Sink
	Redelivered   uint64 // how many of those had the redelivered flag
	Acked         uint64 // deliveries acked, even if many share a frame
	AckFrames     uint64 // basic.ack frames that carried these acks
	Rejected      uint64 // basic.reject and basic.nack
	OldEpoch      uint64 // settled after their channel had ended, dropped
	DoubleSettled uint64 // settled twice, or never delivered, ignored
	HandedBack    uint64 // arrived after Cancel or Close, returned to the broker

	Requests        uint64 // accepted by Request
	Replies         uint64 // how many of those were answered in time
	RequestTimeouts uint64 // how many of those were not
	LateReplies     uint64 // came after the outcome of their request, dropped
	Gets            uint64 // messages from Get

	Connects       uint64 // opened
	Reconnects     uint64 // how many of those were opened after the first
	ChannelErrors  uint64 // channels that the broker closed
	HeartbeatsSent uint64
	HeartbeatsSeen uint64
	OctetsIn       uint64
	OctetsOut      uint64

	// ConfirmTimes are the times from the sending of a publish to the broker's ack or nack.
	ConfirmTimes histogram.Histogram
}
