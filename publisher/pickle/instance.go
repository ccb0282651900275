package pickle

import (
	"errors"
	"fmt"
)

// global pushes the name of a class or function, if it is in globals.
func (m *machine) global(module, name string) error {
	g := pyGlobal(pythonModule(module) + "." + name)
	if !globals[g] {
		return fmt.Errorf("it names %s.%s: only plain data is read, classes are not", module, name)
	}
	return m.push(g)
}

func (m *machine) stackGlobal() error {
	name, err := m.pop()
	if err != nil {
		return err
	}
	module, err := m.pop()
	if err != nil {
		return err
	}
	n, ok := nodeText(name)
	o, also := nodeText(module)
	if !ok || !also {
		return errors.New("a class has no name")
	}
	return m.global(o, n)
}

// reduce replaces a name and its arguments by the instance that Python would make of them.
func (m *machine) reduce() error {
	top, err := m.pop()
	if err != nil {
		return err
	}
	callable, err := m.pop()
	if err != nil {
		return err
	}
	tuple, ok := top.(*pyTuple)
	if !ok {
		return fmt.Errorf("a %s stands where arguments must be", nodeName(top))
	}
	args := tuple.items
	switch c := callable.(type) {
	case pyGlobal:
		if c == "copyreg._reconstructor" && len(args) == 3 { // an instance in protocols 0 and 1
			if class, ok := args[0].(pyGlobal); ok {
				return m.push(&pyObject{class: class})
			}
		}
		return m.push(&pyObject{class: c, args: args})
	case *pyObject: // the only method that is allowed
		if isZoneMethod(c) {
			return m.push(&pyObject{class: "zoneinfo.ZoneInfo", args: args})
		}
	}
	return fmt.Errorf("it calls a %s: only plain data is read", nodeName(callable))
}

// isZoneMethod reports whether o is ZoneInfo._unpickle, by which Python makes a time zone.
func isZoneMethod(o *pyObject) bool {
	if o.class != "builtins.getattr" || len(o.args) != 2 || o.args[0] != pyGlobal("zoneinfo.ZoneInfo") {
		return false
	}
	name, _ := nodeText(o.args[1])
	return name == "_unpickle"
}

// build sets the state of an instance.
func (m *machine) build() error {
	state, err := m.pop()
	if err != nil {
		return err
	}
	top, err := m.top()
	if err != nil {
		return err
	}
	o, ok := top.(*pyObject)
	if !ok {
		return fmt.Errorf("a %s gets a state", nodeName(top))
	}
	o.state = state
	return nil
}
