package slow

import (
	"time"

	"zamqp/publisher"
)

var config = struct {
	Greeting string        `key:"greeting"`
	Pause    time.Duration `key:"pause" min:"1s" max:"1m"`
}{Greeting: "Hello", Pause: time.Second}

func init() {
	publisher.Settings("settled", &config)
	publisher.Handle("GET /settled", func(r *publisher.Request) error { return r.Text(200, config.Greeting) })
}
