package broker

// Stats has counters since the start and, where this is said, the present state.
type Stats struct {
	Connections int   // now, in use
	Closing     int   // now: closed by either side, and the client has not closed its socket yet
	Channels    int   // now
	Consumers   int   // now
	Queues      int   // now
	Exchanges   int   // now
	Bindings    int   // now
	Messages    int   // now, ready in all queues
	Unacked     int   // now
	Memory      int64 // now, octets of messages and their bookkeeping
	Blocked     bool  // now: publishers wait, for memory or disk
	DiskLow     bool  // now: everything that DiskRoom allowed was written

	ConnectionsOpened uint64
	Hurried           uint64 // closed connections whose sockets were not left to the client: it took too long, or there were too many
	LoginsRefused     uint64
	OctetsIn          uint64
	OctetsOut         uint64
	Published         uint64
	Unroutable        uint64 // returned or dropped because no queue took them
	Confirmed         uint64
	Nacked            uint64 // publishes
	Delivered         uint64
	Redelivered       uint64
	Got               uint64 // by basic.get
	Acked             uint64
	Rejected          uint64
	Returned          uint64
	Traced            uint64 // copies of the firehose
	Untraced          uint64 // copies for which there was no space, in memory or in a frame
}

// QueueStats are the state of one queue.
type QueueStats struct {
	Vhost, Name string
	Messages    int   // ready
	Bytes       int64 // of their bodies
	Unacked     int
	Consumers   int
}

// QueueStats returns the stats of all queues that are not exclusive, in no order. If there
// are more than most, it returns nil: collecting them would take long, and they would be too
// many to show.
func (s *Server) QueueStats(most int) []QueueStats {
	var all []QueueStats
	for _, v := range s.vhosts {
		for _, q := range v.queues {
			if q.owner != nil {
				continue
			}
			if len(all) == most {
				return nil
			}
			all = append(all, QueueStats{Vhost: v.name, Name: q.name, Messages: q.messages(), Bytes: q.bytes,
				Unacked: q.unacked, Consumers: q.consumers()})
		}
	}
	return all
}
