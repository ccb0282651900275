package amqpdoor

import (
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// Measure appends the numbers of all connections, with what lives on them.
func (d *Door) Measure(dst []publisher.Metric) []publisher.Metric {
	for _, l := range d.links {
		dst = l.measure(dst)
		dst = l.measureTraffic(dst)
		if l.spool != nil {
			dst = l.spool.measure(dst)
		}
		for _, k := range l.consumers {
			dst = k.measure(dst)
			dst = k.measureFailures(dst)
			if l.depths != nil {
				dst = l.depths.measure(dst, k)
			}
			if k.dedupe != nil {
				dst = k.dedupe.measure(dst)
			}
		}
		for _, p := range l.producers {
			dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "connection", Value: l.name}, {Name: "producer", Value: p.Name()}},
				publisher.Metric{Name: "producer_up", Help: "1 while the producer's declarations exist and its publishes are sent.",
					Value: publisher.Bit(p.State() == client.Up)})
		}
	}
	return dst
}

// measure appends the state of the connection and its counts.
func (l *link) measure(dst []publisher.Metric) []publisher.Metric {
	s := l.client.Stats()
	now := l.report()
	blocked, _ := l.client.Blocked()
	count, octets := l.client.Unconfirmed()
	dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "connection", Value: l.name}, {Name: "state", Value: now.State}},
		publisher.Metric{Name: "connection_state", Help: "1 for the state that the connection is in: disconnected, connecting, declaring, connected, blocked, closing, closed.", Value: 1})
	return publisher.AppendMetrics(dst, []publisher.Label{{Name: "connection", Value: l.name}},
		publisher.TimesMetric("connection_confirm_duration_seconds", "How long the broker took for its confirms, from the sending of a publish to its ack or nack.", &s.ConfirmTimes),
		publisher.Metric{Name: "connection_up", Help: "1 while publishes are sent over the connection.", Value: publisher.Bit(now.Ready)},
		publisher.Metric{Name: "connection_blocked", Help: "1 while the broker takes no publishes (connection.blocked).", Value: publisher.Bit(blocked)},
		publisher.Metric{Name: "connection_unconfirmed_messages", Help: "Publishes and requests that wait to be sent, or for the broker's answer.", Value: float64(count)},
		publisher.Metric{Name: "connection_unconfirmed_bytes", Help: "Octets that unconfirmed publishes and requests hold; publish_max is the limit.", Value: float64(octets)},
		publisher.Metric{Name: "connection_incoming_body_bytes", Help: "Octets of bodies from the broker that have arrived only in part.", Value: float64(l.client.Coming())},
		publisher.Metric{Name: "connection_rpc_waiting", Help: "Calls over AMQP that wait for their reply.", Value: float64(l.client.Requests())},
		publisher.Metric{Name: "connection_connects_total", Help: "How often the connection was opened.", Value: float64(s.Connects)},
		publisher.Metric{Name: "connection_reconnects_total", Help: "How often the connection was opened again.", Value: float64(s.Reconnects)},
		publisher.Metric{Name: "connection_channel_errors_total", Help: "Channels that the broker closed.", Value: float64(s.ChannelErrors)},
		publisher.Metric{Name: "connection_heartbeats_sent_total", Help: "Heartbeats to the broker.", Value: float64(s.HeartbeatsSent)},
		publisher.Metric{Name: "connection_heartbeats_received_total", Help: "Heartbeats of the broker.", Value: float64(s.HeartbeatsSeen)},
		publisher.Metric{Name: "connection_received_bytes_total", Help: "Octets from the broker, without TLS.", Value: float64(s.OctetsIn)},
		publisher.Metric{Name: "connection_sent_bytes_total", Help: "Octets to the broker, without TLS.", Value: float64(s.OctetsOut)},
	)
}

// measureTraffic appends the counts of publishes, deliveries and requests.
func (l *link) measureTraffic(dst []publisher.Metric) []publisher.Metric {
	s := l.client.Stats()
	return publisher.AppendMetrics(dst, []publisher.Label{{Name: "connection", Value: l.name}},
		publisher.Metric{Name: "connection_published_total", Help: "Publishes given to the connection; replies, retries and those of the spool included.", Value: float64(s.Published)},
		publisher.Metric{Name: "connection_confirmed_total", Help: "Publishes that the broker confirmed.", Value: float64(s.Confirmed)},
		publisher.Metric{Name: "connection_nacked_total", Help: "Publishes that the broker refused (basic.nack).", Value: float64(s.Nacked)},
		publisher.Metric{Name: "connection_returned_total", Help: "Publishes that no queue took (basic.return).", Value: float64(s.Returned)},
		publisher.Metric{Name: "connection_confirm_timeouts_total", Help: "Publishes without an outcome within confirm_timeout.", Value: float64(s.Expired)},
		publisher.Metric{Name: "connection_lost_publishes_total", Help: "Publishes that ended with their connection or channel: the broker may have them.", Value: float64(s.Unconfirmed)},
		publisher.Metric{Name: "connection_resent_publishes_total", Help: "Publishes sent again over a new channel, because the old one was closed for another publish or refused them.", Value: float64(s.Resent)},
		publisher.Metric{Name: "connection_possible_duplicates_total", Help: "Publishes sent again although the broker may have the first copy.", Value: float64(s.ResentIndeterminate)},
		publisher.Metric{Name: "connection_publish_channel_renewals_total", Help: "Publish channels replaced because the broker refused publishes or did not confirm them.", Value: float64(s.Renewed)},
		publisher.Metric{Name: "connection_delivered_total", Help: "Messages that the broker delivered.", Value: float64(s.Delivered)},
		publisher.Metric{Name: "connection_redelivered_total", Help: "Messages that the broker delivered with the redelivered flag.", Value: float64(s.Redelivered)},
		publisher.Metric{Name: "connection_acked_total", Help: "Messages acked; one frame may ack many.", Value: float64(s.Acked)},
		publisher.Metric{Name: "connection_ack_frames_total", Help: "Frames that carried acks (basic.ack).", Value: float64(s.AckFrames)},
		publisher.Metric{Name: "connection_rejected_total", Help: "Messages rejected or given back (basic.reject, basic.nack).", Value: float64(s.Rejected)},
		publisher.Metric{Name: "connection_handed_back_total", Help: "Messages that arrived after their consumer had ended, and were given back.", Value: float64(s.HandedBack)},
		publisher.Metric{Name: "connection_stale_settlements_total", Help: "Messages settled after their channel had ended: the broker delivers them again.", Value: float64(s.OldEpoch)},
		publisher.Metric{Name: "connection_double_settlements_total", Help: "Settlements of messages that were settled already.", Value: float64(s.DoubleSettled)},
		publisher.Metric{Name: "connection_gets_total", Help: "Messages got one by one (basic.get).", Value: float64(s.Gets)},
		publisher.Metric{Name: "connection_rpc_calls_total", Help: "Calls over AMQP.", Value: float64(s.Requests)},
		publisher.Metric{Name: "connection_rpc_replies_total", Help: "Calls over AMQP that were answered in time.", Value: float64(s.Replies)},
		publisher.Metric{Name: "connection_rpc_timeouts_total", Help: "Calls over AMQP that were not answered in time.", Value: float64(s.RequestTimeouts)},
		publisher.Metric{Name: "connection_rpc_late_replies_total", Help: "Replies that arrived when no call waited for them any more.", Value: float64(s.LateReplies)},
	)
}

// measure appends what the consumer does now; the server counts what it did.
func (k *consumer) measure(dst []publisher.Metric) []publisher.Metric {
	now := k.report()
	connection, name := publisher.Label{Name: "connection", Value: k.link.name}, publisher.Label{Name: "consumer", Value: k.name}
	inHand := 0
	for _, sub := range k.subscriptions() {
		inHand += sub.inHand
	}
	dst = publisher.AppendMetrics(dst, []publisher.Label{connection, name, {Name: "state", Value: now.State}},
		publisher.Metric{Name: "consumer_state", Help: "1 for the state that the consumer is in: up, paused, or what it waits for.", Value: 1})
	return publisher.AppendMetrics(dst, []publisher.Label{connection, name},
		publisher.Metric{Name: "consumer_up", Help: "1 while the consumer gets messages, or is paused.", Value: publisher.Bit(now.Ready)},
		publisher.Metric{Name: "consumer_paused", Help: "1 while a handler has paused the consumer.", Value: publisher.Bit(k.paused)},
		publisher.Metric{Name: "consumer_in_hand_messages", Help: "Messages delivered and not settled; the prefetch is the limit.", Value: float64(inHand)},
		publisher.Metric{Name: "consumer_waiting_messages", Help: "Messages in hand that wait for their lane, for the rate, or for the end of a pause.", Value: float64(k.throttle.count())},
		publisher.Metric{Name: "consumer_held_messages", Help: "Messages in hand that wait in this process for their next attempt.", Value: float64(len(k.delayed))},
		publisher.Metric{Name: "consumer_quarantined_total", Help: "Messages moved to the quarantine, because their handler ran when a process ended.", Value: float64(k.isolated)},
		publisher.Metric{Name: "consumer_unreadable_total", Help: "Messages given up without a handler: their headers are malformed or too large.", Value: float64(k.unread)},
		publisher.Metric{Name: "consumer_prefetch_messages", Help: "How many messages may be in hand; 0 is no limit.", Value: float64(k.spec.Prefetch)},
	)
}

// measure appends what the spool holds.
func (x *spooler) measure(dst []publisher.Metric) []publisher.Metric {
	s := x.store.Stats()
	dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "connection", Value: x.link.name}, {Name: "state", Value: x.state.String()}},
		publisher.Metric{Name: "spool_state", Help: "1 for where publishes go: straight to the broker, away and awaitWord (to disk, the broker is away or slow), emptying and sifting (behind what is on disk), closed.", Value: 1})
	return publisher.AppendMetrics(dst, []publisher.Label{{Name: "connection", Value: x.link.name}},
		publisher.Metric{Name: "spool_messages", Help: "Messages on disk that wait to be sent.", Value: float64(s.Messages)},
		publisher.Metric{Name: "spool_bytes", Help: "Octets of the messages that wait to be sent, as spool_max counts them.", Value: float64(s.Bytes)},
		publisher.Metric{Name: "spool_aside_messages", Help: "Rejected messages: the broker did not take them.", Value: float64(s.Rejected)},
		publisher.Metric{Name: "spool_aside_bytes", Help: "Octets of the rejected messages, as spool_max counts them.", Value: float64(s.RejectedBytes)},
		publisher.Metric{Name: "spool_max_bytes", Help: "The limit of spool_bytes and spool_aside_bytes together, spool_max.", Value: float64(s.Max)},
		publisher.Metric{Name: "spool_disk_bytes", Help: "Size of the spool's files.", Value: float64(s.DiskBytes)},
		publisher.Metric{Name: "spool_unstored_messages", Help: "Publishes that wait in memory to be sent or to be stored.", Value: float64(len(x.pending) + len(x.lost))},
		publisher.Metric{Name: "spool_flights", Help: "Messages of the spool that wait for the broker's answer.", Value: float64(len(x.withChannel))},
		publisher.Metric{Name: "spool_failed", Help: "1 when the disk has failed: nothing is stored until the next start.", Value: publisher.Bit(s.FailedCause != nil)},
		publisher.Metric{Name: "spool_waits", Help: "1 while the disk stores no messages; it is tried again.", Value: publisher.Bit(s.Trouble != nil)},
		publisher.Metric{Name: "spool_added_total", Help: "Messages that went to disk.", Value: float64(s.Added)},
		publisher.Metric{Name: "spool_left_total", Help: "Messages that left the spool: confirmed, rejected or expired.", Value: float64(s.Left)},
		publisher.Metric{Name: "spool_put_aside_total", Help: "Messages that left the spool because the broker did not take them.", Value: float64(s.Rejections)},
		publisher.Metric{Name: "spool_expired_total", Help: "Messages that were dropped from the spool: expired before they could be sent.", Value: float64(x.expired)},
	)
}
