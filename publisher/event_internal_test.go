package publisher

import (
	"strings"
	"testing"
	"time"
)

func TestEventsAsTheStandardHasThem(t *testing.T) {
	for _, row := range []struct {
		name  string
		event Event
		want  string
	}{
		{"text", Event{Data: "hello"}, "data: hello\n\n"},
		{"all fields", Event{ID: "7", Name: "order", Data: "x", Retry: 1500 * time.Millisecond}, "id: 7\nevent: order\nretry: 1500\ndata: x\n\n"},
		{"octets", Event{Data: []byte("x")}, "data: x\n\n"},
		{"JSON", Event{Data: map[string]int{"n": 1}}, `data: {"n":1}` + "\n\n"},
		{"LF", Event{Data: "a\nb"}, "data: a\ndata: b\n\n"},
		{"CRLF is one line end", Event{Data: "a\r\nb"}, "data: a\ndata: b\n\n"},
		{"CR is one, too", Event{Data: "a\rb"}, "data: a\ndata: b\n\n"},
		{"LF at the end", Event{Data: "a\n"}, "data: a\ndata: \n\n"},
		{"CR at the end", Event{Data: "a\r"}, "data: a\ndata: \n\n"},
		{"a field in the data", Event{Data: "a\nid: 8\n\nevent: x"}, "data: a\ndata: id: 8\ndata: \ndata: event: x\n\n"},
		{"a blank at the beginning", Event{Data: " a"}, "data:  a\n\n"},
		{"empty data", Event{Data: ""}, "data: \n\n"},
		{"a name alone", Event{Name: "end"}, "event: end\ndata: \n\n"},
		{"an id alone sets it", Event{ID: "9"}, "id: 9\n\n"},
		{"retry alone", Event{Retry: time.Second}, "retry: 1000\n\n"},
		{"less than a millisecond", Event{Retry: time.Microsecond}, "retry: 1\n\n"},
	} {
		made, err := row.event.encode()
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if got := string(appendEvent(nil, &row.event, made.data, made.hasData)); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestEventsThatCannotBeSent(t *testing.T) {
	for _, row := range []struct {
		name, want string
		event      Event
	}{
		{"LF in the id", "line end", Event{ID: "1\ndata: x"}},
		{"CR in the id", "line end", Event{ID: "1\r"}},
		{"NUL in the id", "NUL", Event{ID: "\x00"}},
		{"LF in the name", "line end", Event{Name: "a\nb"}},
		{"no text as name", "UTF-8", Event{Name: "\xff"}},
		{"negative retry", "negative", Event{Retry: -1}},
		{"no JSON", "unsupported type", Event{Data: func() {}}},
	} {
		if _, err := row.event.encode(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}
