package publisher_test

import (
	"reflect"
	"testing"

	"zamqp/publisher"
)

// TestHandlersSeeNoMethodOfDoors: a Request and a Call are the same call, each with the
// methods of its reader.
func TestHandlersSeeNoMethodOfDoors(t *testing.T) {
	request, call := reflect.TypeFor[*publisher.Request](), reflect.TypeFor[*publisher.Call]()
	for i := range call.NumMethod() {
		if name := call.Method(i).Name; name != "Request" {
			if _, both := request.MethodByName(name); both {
				t.Errorf("handlers see %s, which is for doors", name)
			}
		}
	}
	if call.NumMethod() < 10 {
		t.Errorf("a Call has %d methods", call.NumMethod())
	}
}
