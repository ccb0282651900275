package publisher_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

type typedPaging struct {
	Limit  int      `query:"limit" default:"20" validate:"min=1,max=100" json:"-"`
	Tags   []string `query:"tag" json:"-"`
	After  *int64   `query:"after" json:"-"`
	Tenant string   `header:"X-Tenant" json:"-"`
}

type typedItem struct {
	Name  string  `json:"name" validate:"required"`
	Count int     `json:"count" validate:"min=1"`
	Price float64 `json:"price" validate:"gte=0"`
}

type typedOrder struct {
	typedPaging
	Shop    string            `path:"shop"`
	Since   time.Time         `query:"since"`
	Wait    time.Duration     `query:"wait" default:"1s"`
	Dry     bool              `query:"dry"`
	Email   string            `json:"email" validate:"required,email"`
	Items   []typedItem       `json:"items" validate:"required,min=1,dive"`
	Labels  map[string]string `json:"labels" validate:"dive,max=5"`
	Urgency string            `json:"urgency" default:"low" validate:"oneof=low high"`
}

type typedReceipt struct {
	Seen typedOrder
	Note string `json:"note"`
}

type problemDocument struct {
	Status int
	Title  string
	Detail string
	Errors []publisher.ProblemError
}

func (p problemDocument) paths() (paths []string) {
	for _, e := range p.Errors {
		paths = append(paths, e.Path+" "+e.Detail)
	}
	return paths
}

func typedServer(t *testing.T, register func(g *publisher.Registry)) *publishertest.Server {
	t.Helper()
	g := publisher.NewRegistry()
	register(g)
	return publishertest.New(t, g)
}

func problemOf(t *testing.T, got publishertest.Response) (p problemDocument) {
	t.Helper()
	if got.ContentType != "application/problem+json" {
		t.Fatalf("%d %s: %s", got.Status, got.ContentType, got.Body)
	}
	if err := json.Unmarshal([]byte(got.Body), &p); err != nil || p.Status != got.Status {
		t.Fatalf("%v: %s", err, got.Body)
	}
	return p
}

func TestATypedHandlerGetsItsValues(t *testing.T) {
	var got typedOrder
	s := typedServer(t, func(g *publisher.Registry) {
		g.Handle("POST /shops/{shop}/orders", publisher.JSON(func(r *publisher.Request, in typedOrder) (typedReceipt, error) {
			got = in
			return typedReceipt{Note: "ok"}, nil
		}, publisher.DefaultStatus(201)))
	})
	answer := s.Request("POST", "/shops/a%20b/orders?tag=x&tag=y%26&after=7&since=2026-01-02T03:04:05Z&dry=true&limit=", "application/json",
		`{"email": "a@example.org", "items": [{"name": "book", "count": 2}], "Limit": 99, "Shop": "evil", "tag": ["z"], "labels": {"a": "b"}}`, "X-Tenant: eu")
	if answer.Status != 201 || answer.ContentType != "application/json" || !strings.Contains(string(answer.Body), `"note":"ok"`) {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	after := int64(7)
	want := typedOrder{
		typedPaging: typedPaging{Limit: 20, Tags: []string{"x", "y&"}, After: &after, Tenant: "eu"},
		Shop:        "a b", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Wait: time.Second, Dry: true,
		Email: "a@example.org", Items: []typedItem{{Name: "book", Count: 2}}, Labels: map[string]string{"a": "b"}, Urgency: "low",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestATypedHandlerTellsEveryMistake(t *testing.T) {
	s := typedServer(t, func(g *publisher.Registry) {
		h := func(*publisher.Request, typedOrder) (struct{}, error) {
			t.Error("the handler was called")
			return struct{}{}, nil
		}
		g.Handle("POST /shops/{shop}/orders", publisher.JSON(h))
		g.Handle("POST /strict/{shop}", publisher.JSON(h, publisher.DisallowUnknownFields))
	})
	for _, c := range []struct {
		name, target, body string
		status             int
		want               []string
	}{
		{"types, checks and parameters", "/shops/a/orders?limit=x&since=now&wait=soon&dry=perhaps&after=1&after=2", `{"email": 1, "items": [{"name": 5, "count": 1.5, "price": -1}, {"name": "b", "count": 300}, 7], "labels": {"a/b": "toolong"}, "urgency": "mid"}`, 422, []string{
			"/email is a number, and not a string",
			"/items/0/count is no whole number",
			"/items/0/name is a number, and not a string",
			"/items/2 is a number, and not an object",
			"query.limit is no whole number",
			"query.after is given more than once",
			"query.since is no time such as 2006-01-02T15:04:05Z",
			"query.wait is no duration such as 1m30s",
			"query.dry is neither true nor false",
			"/items/0/price must be 0 or greater",
			"/labels/a~1b must be a maximum of 5 characters in length",
			"/urgency must be one of [low high]",
		}},
		{"checks alone", "/shops/a/orders?limit=1000", `{"email": "nobody", "items": [{}]}`, 422, []string{
			"query.limit must be 100 or less",
			"/email must be a valid email address",
			"/items/0/name is a required field",
			"/items/0/count must be 1 or greater",
		}},
		{"no JSON", "/shops/a/orders?limit=x", `{"email": `, 400, []string{"query.limit is no whole number"}},
		{"an array", "/shops/a/orders", `[]`, 422, []string{" is an array, and not an object"}},
		{"no body", "/shops/a/orders", ``, 400, nil},
		{"malformed escapes", "/shops/a/orders?tag=%zz&%zz=1&tag=a;b", `{"email": "a@example.org", "items": [{"name": "a", "count": 1}]}`, 422, []string{
			"query.tag has a malformed escape: % is written as %25", "query a name has a malformed escape: % is written as %25", "query.tag has a ; in its value: it is written as %3B",
		}},
		{"unknown members", "/strict/a", `{"email": "a@example.org", "items": [{"name": "a", "count": 1, "x": 1}], "Shop": "b", "y": {}}`, 422, []string{
			"/Shop is unknown", "/items/0/x is unknown", "/y is unknown",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := problemOf(t, s.Request("POST", c.target, "application/json", c.body))
			if p.Status != c.status || !reflect.DeepEqual(p.paths(), c.want) {
				t.Errorf("%d %s %s\n got %q\nwant %q", p.Status, p.Title, p.Detail, p.paths(), c.want)
			}
		})
	}
}

// TestAnInterfaceThatCannotBeChecked: what a client puts into an interface may not fit its tag. That
// is a mistake of the client.
func TestAnInterfaceThatCannotBeChecked(t *testing.T) {
	type loose struct {
		X any   `json:"x" validate:"omitempty,min=1"`
		Y []any `json:"y" validate:"omitempty,unique"`
	}
	s := typedServer(t, func(g *publisher.Registry) {
		g.Handle("POST /loose", publisher.JSON(func(*publisher.Request, loose) (struct{}, error) { return struct{}{}, nil }))
	})
	for _, body := range []string{`{"x": true}`, `{"y": [{"a": 1}, {"a": 1}]}`} {
		if got := s.Request("POST", "/loose", "application/json", body); got.Status != 422 {
			t.Errorf("%s: %d %s", body, got.Status, got.Body)
		}
	}
}

func TestATypedHandlerOfMessages(t *testing.T) {
	type in struct {
		Tenant string `header:"X-Tenant"`
		ID     string `json:"id" validate:"required"`
		N      int    `json:"n" validate:"min=1"`
	}
	type out struct {
		Sum string `json:"sum"`
	}
	s := typedServer(t, func(g *publisher.Registry) {
		g.Consume("orders", publisher.Consumer{}, publisher.JSON(func(r *publisher.Request, v in) (out, error) {
			return out{fmt.Sprint(v.Tenant, v.ID, v.N)}, nil
		}))
	})
	good := publisher.Publishing{Body: []byte(`{"id": "a", "n": 2}`), ReplyTo: "back", Headers: publisher.Table{"X-Tenant": "eu"}}
	if got := s.Deliver("orders", good); got.Outcome.Err != nil || got.Reply == nil || string(got.Reply.Body) != `{"sum":"eua2"}` {
		t.Fatalf("%+v %+v", got.Outcome, got.Reply)
	}
	bad := good
	bad.Body = []byte(`{"n": 0}`)
	got := s.Deliver("orders", bad)
	if got.Outcome.Settlement != publisher.SettleDeadLetter || !strings.Contains(got.Outcome.Err.Error(), "/id: is a required field; /n: must be 1 or greater") {
		t.Errorf("%+v", got.Outcome)
	}
	if got.Reply == nil || !strings.Contains(string(got.Reply.Body), `"path":"/n"`) {
		t.Errorf("%+v", got.Reply)
	}
	quiet := good
	quiet.ReplyTo = ""
	if got := s.Deliver("orders", quiet); got.Outcome.Settlement != publisher.SettleAck || got.Reply != nil {
		t.Errorf("%+v", got)
	}
}

type createdOut struct {
	ID string `json:"id"`
}

func (createdOut) StatusCode() int        { return 202 }
func (o createdOut) Headers() http.Header { return http.Header{"Location": {"/o/" + o.ID}} }

func TestTheAnswerOfATypedHandler(t *testing.T) {
	type none struct{}
	s := typedServer(t, func(g *publisher.Registry) {
		g.Handle("GET /value", publisher.JSON(func(*publisher.Request, none) (createdOut, error) { return createdOut{"1"}, nil }))
		g.Handle("GET /pointer", publisher.JSON(func(*publisher.Request, none) (*createdOut, error) { return &createdOut{"2"}, nil }))
		g.Handle("GET /nil", publisher.JSON(func(*publisher.Request, none) (*createdOut, error) { return nil, nil }))
		g.Handle("GET /any", publisher.JSON(func(*publisher.Request, none) (any, error) { return createdOut{"3"}, nil }))
		g.Handle("GET /empty", publisher.JSON(func(*publisher.Request, none) (none, error) { return none{}, nil }))
		g.Handle("GET /accepted", publisher.JSON(func(*publisher.Request, none) (none, error) { return none{}, nil }, publisher.DefaultStatus(202)))
		g.Handle("GET /own", publisher.JSON(func(r *publisher.Request, _ none) (none, error) { return none{}, r.Text(203, "own") }))
		g.Handle("GET /list", publisher.JSON(func(*publisher.Request, none) ([]int, error) { return []int{1}, nil }))
		g.Handle("GET /failed", publisher.JSON(func(*publisher.Request, none) ([]int, error) { return nil, publisher.Errorf(404, "no") }))
		g.Handle("POST /sum", publisher.JSON(func(_ *publisher.Request, in []int) (int, error) { return len(in), nil }))
		g.Handle("POST /optional", publisher.JSON(func(_ *publisher.Request, in createdOut) (createdOut, error) { return in, nil }, publisher.OptionalBody))
	})
	for _, c := range []struct {
		method, target, body string
		status               int
		want, location       string
	}{
		{"GET", "/value", "", 202, `{"id":"1"}`, "/o/1"},
		{"GET", "/pointer", "", 202, `{"id":"2"}`, "/o/2"},
		{"GET", "/nil", "", 200, `null`, ""},
		{"GET", "/any", "", 202, `{"id":"3"}`, "/o/3"},
		{"GET", "/empty", "", 204, "", ""},
		{"GET", "/accepted", "", 202, "", ""},
		{"GET", "/own", "", 203, "own", ""},
		{"GET", "/list", "", 200, "[1]", ""},
		{"GET", "/failed", "", 404, "no\n", ""},
		{"POST", "/sum", "[1,2]", 200, "2", ""},
		{"POST", "/optional", "", 202, `{"id":""}`, "/o/"},
	} {
		got := s.Request(c.method, c.target, "", c.body)
		if got.Status != c.status || string(got.Body) != c.want || !strings.Contains(fmt.Sprint(got.Header), c.location) {
			t.Errorf("%s: %d %q %v", c.target, got.Status, got.Body, got.Header)
		}
	}
}

func TestAWrongTagIsAnErrorAtTheStart(t *testing.T) {
	type good struct {
		ID string `path:"id"`
	}
	type body struct {
		ID string `json:"id"`
	}
	type deep struct {
		Inner struct {
			Limit int `query:"limit"`
		}
	}
	type mixed struct {
		Limit int `query:"limit"`
		X     int
	}
	type none struct{}
	g := publisher.NewRegistry()
	for _, c := range []struct {
		name string
		make func()
		want string
	}{
		{"type", func() {
			typedOf[struct {
				C chan int `query:"c"`
			}]()
		}, "field C of the struct: a value cannot become a chan int"},
		{"unexported", func() {
			typedOf[struct {
				c int `query:"c"`
			}]()
		}, "field c of the struct: it has the tag query and is not exported"},
		{"default", func() {
			typedOf[struct {
				C int `query:"c" default:"x"`
			}]()
		}, `field C of the struct: default "x": is no whole number`},
		{"default of a member", func() {
			typedOf[struct {
				C []int `json:"c" default:"1"`
			}]()
		}, `field C of the struct: default "1"`},
		{"twice", func() {
			typedOf[struct {
				A int `query:"c"`
				B int `query:"c"`
			}]()
		}, `field B of the struct: query "c" belongs to the field A already`},
		{"two places", func() {
			typedOf[struct {
				A int `query:"c" header:"d"`
			}]()
		}, `field A of the struct: it has the tags`},
		{"unknown check", func() {
			typedOf[struct {
				A int `validate:"positiv"`
			}]()
		}, `Undefined validation function 'positiv'`},
		{"unfit check", func() {
			typedOf[struct {
				A []struct {
					B bool `validate:"required,min=3"`
				} `validate:"dive"`
			}]()
		}, `field B of the struct: validate: the tag "min=3" does not fit a bool`},
		{"deep parameter", func() { typedOf[deep]() }, "field Limit of the struct: the tag query is only for fields of the struct itself"},
		{"default of elements", func() {
			typedOf[struct {
				Lines []struct {
					N int `default:"1"`
				}
			}]()
		}, "field N of the struct: a default is not possible behind a pointer and in the elements"},
		{"mixed", func() { typedOf[struct{ mixed }]() }, `give the parameters the tag json:"-"`},
		{"pointer", func() { typedOf[*body]() }, "is a pointer"},
		{"path", func() { g.Handle("GET /x/{name}", typedOf[good]()) }, "the field ID of the handler's publisher_test.good wants {id}, which is not in the pattern"},
		{"consumer", func() { g.Consume("x", publisher.Consumer{}, typedOf[good]()) }, `Consume("x")`},
		{"clock", func() { g.Every("x", publisher.Clock{Period: time.Second}, typedOf[body]()) }, "a body"},
		{"status", func() {
			publisher.JSON(func(*publisher.Request, none) (none, error) { return none{}, nil }, publisher.DefaultStatus(404))
		}, "status 404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				text := fmt.Sprint(recover())
				if !strings.Contains(text, c.want) || !strings.Contains(text, "typed_test.go:") {
					t.Errorf("got %s", text)
				}
			}()
			c.make()
		})
	}
	g.Every("fine", publisher.Clock{Period: time.Second}, typedOf[none]())
}

func typedOf[In any]() publisher.Handler {
	return publisher.JSON(func(*publisher.Request, In) (struct{}, error) { return struct{}{}, nil })
}

func TestATypedHandlerReadsOtherCodecs(t *testing.T) {
	type in struct {
		Name string `json:"name" msgpack:"name" validate:"required"`
	}
	s := typedServer(t, func(g *publisher.Registry) {
		h := func(_ *publisher.Request, v in) (in, error) { return v, nil }
		g.Handle("POST /loose", publisher.JSON(h))
		g.Handle("POST /strict", publisher.JSON(h, publisher.DisallowUnknownFields))
	})
	msgpack, err := publisher.FindCodec("msgpack")
	if err != nil {
		t.Fatal(err)
	}
	one, _ := msgpack.Append(nil, map[string]any{"name": "a"})
	two, _ := msgpack.Append(nil, map[string]any{"name": "a", "x": 1})
	for _, c := range []struct {
		target, contentType, body string
		status                    int
	}{
		{"/loose", "application/msgpack", string(two), 200},
		{"/strict", "application/msgpack", string(one), 200},
		{"/strict", "application/msgpack", string(two), 400},
		{"/strict", "application/json; charset=iso-8859-1", "{\"name\": \"\xe4\"}", 200},
		{"/strict", "application/json", `{"name": "a"} {}`, 400},
		{"/strict", "application/x-python-serialize", "\x80\x02}.", 415},
		{"/loose", "application/x-www-form-urlencoded", "name=a", 415},
		{"/loose", "text/csv", "name=a", 400},
	} {
		if got := s.Request("POST", c.target, c.contentType, c.body); got.Status != c.status {
			t.Errorf("%s %s: %d %s", c.target, c.contentType, got.Status, got.Body)
		}
	}
}

func TestALargeInputIsReadApart(t *testing.T) {
	type in struct {
		Names []string `json:"names" validate:"dive,required"`
	}
	s := typedServer(t, func(g *publisher.Registry) {
		h := func(_ *publisher.Request, v in) (int, error) { return len(v.Names), nil }
		g.Handle("POST /few", publisher.JSON(h))
		g.Handle("POST /many", publisher.JSON(h, publisher.ItemsMax(50_000)))
	})
	many, _ := json.Marshal(in{Names: strings.Split(strings.Repeat("a,", 20_000), ",")})
	p := problemOf(t, s.Request("POST", "/few", "application/json", string(many)))
	if want := []string{" has more than 10000 elements to check"}; !reflect.DeepEqual(p.paths(), want) {
		t.Errorf("%q", p.paths())
	}
	p = problemOf(t, s.Request("POST", "/many", "application/json", string(many)))
	if want := []string{"/names/20000 is a required field"}; !reflect.DeepEqual(p.paths(), want) {
		t.Errorf("%q", p.paths())
	}
	empty, _ := json.Marshal(in{Names: make([]string, 500)})
	p = problemOf(t, s.Request("POST", "/few", "application/json", string(empty)))
	if len(p.Errors) != 101 || p.Errors[100].Detail != "and 400 mistakes more" {
		t.Errorf("%d: %+v", len(p.Errors), p.Errors[len(p.Errors)-1])
	}
}
