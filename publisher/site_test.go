package publisher_test

import (
	"errors"
	"strings"
	"testing"

	"zamqp/publisher"
)

// TestSite: the site's id takes its place in what handler packages name.
func TestSite(t *testing.T) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		_, err := r.Queue("parked-${site_id}").Len()
		return err
	})
	b.reg.OnError("${site_id}", func(r *publisher.Request, err error) error {
		return r.Publish("out", err.Error(), publisher.Exchange("e-${site_id}"), publisher.Key("k-${site_id}"), publisher.ReplyTo("r-${site_id}"),
			publisher.UserID("u-${site_id}"), publisher.AppID("a-${site_id}"), publisher.Type("${site_id}"))
	})
	b.start(publisher.Options{Site: "orders"})
	b.message("c", 1, publisher.Publishing{})
	if len(b.sent) != 1 {
		t.Fatal("the error handler was not asked")
	}
	s := b.sent[0]
	if s.exchange != "e-orders" || s.key != "k-orders" || s.props.ReplyTo != "r-orders" || s.props.UserId != "u-orders" || s.props.AppId != "a-orders" ||
		s.props.Type != "${site_id}" || !strings.Contains(s.body, "parked-") {
		t.Errorf("%+v", s)
	}
}

func TestSiteMissing(t *testing.T) {
	g := publisher.NewRegistry()
	g.OnError("${site_id}", func(*publisher.Request, error) error { return nil })
	if _, err := publisher.NewServer(g, nil, nil, publisher.Options{}); err == nil || !strings.Contains(err.Error(), "site.id is not set") {
		t.Errorf("%v", err)
	}
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	var published, asked error
	b.reg.Handle("/", func(r *publisher.Request) error {
		published = r.Publish("out", 1, publisher.Key("k-${site_id}"))
		_, asked = r.Queue("${site_id}").Len()
		return errors.Join(published, asked)
	})
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	for _, err := range []error{published, asked} {
		if err == nil || !strings.Contains(err.Error(), "site.id is not set") {
			t.Errorf("%v", err)
		}
	}
}
