package slow

import (
	"fmt"
	"net/http"

	"zamqp/publisher"
)

func init() {
	publisher.Handle("POST /site", publisher.HTTP(http.HandlerFunc(mounted)))
	publisher.Consume("site", publisher.Consumer{Queue: "interop-site-${site_id}", Disabled: true}, site)
	publisher.Consume("site-route", publisher.Consumer{Queue: "interop-site-route-${site_id}", Route: "POST /site", Disabled: true}, nil)
}

// site replies with what it knows of its site, and publishes the same to the site's own exchange.
func site(r *publisher.Request) error {
	text := fmt.Sprintf("%s %s %s", r.Site(), r.User(), r.URL("/orders/7"))
	_ = r.Publish("site", text, publisher.Header("site", r.Site()))
	return r.Text(200, text)
}

// mounted is the same for net/http.
func mounted(w http.ResponseWriter, req *http.Request) {
	r := publisher.FromContext(req.Context())
	fmt.Fprintf(w, "%s %s %s://%s %s", r.Site(), r.User(), req.URL.Scheme, req.Host, r.URL("/orders/7"))
}

func init() { publisher.Produce("site", publisher.Producer{Queue: "interop-site-seen"}) }
