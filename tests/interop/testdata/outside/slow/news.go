package slow

import "zamqp/publisher"

// News for browsers, through a fanout exchange.
func init() {
	publisher.AddTopic("news", publisher.Topic{Exchange: "interop-news"})
	publisher.Handle("GET /news", publisher.Follow("news"))
	publisher.Handle("POST /news", func(r *publisher.Request) error {
		if err := r.Broadcast("news", publisher.Event{Name: "headline", Data: string(r.Body())}); err != nil {
			return err
		}
		return r.Reply(202, nil)
	})
}
