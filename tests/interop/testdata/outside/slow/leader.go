package slow

import (
	"fmt"
	"os"
	"time"

	"zamqp/publisher"
)

// Two clocks whose ticks only one process makes. Each tick publishes which process has made it.
func init() {
	publisher.Produce("clock-ticks", publisher.Producer{Queue: "clock-ticks", Codec: "text"})
	each := publisher.Clock{Period: 200 * time.Millisecond, Leader: publisher.DefaultConnection, Disabled: true}
	publisher.Every("led", each, ledTick)
	each.Dedupe = true
	publisher.Every("deduped", each, ledTick)
}

func ledTick(r *publisher.Request) error {
	return r.Publish("clock-ticks", fmt.Sprintf("%d %d", os.Getpid(), r.Scheduled().UnixMilli()))
}
