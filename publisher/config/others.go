package config

import (
	"fmt"
	"reflect"

	"zamqp/publisher"
)

// Other is something that a handler package has registered and that is neither a consumer nor a
// producer, such as a clock.
type Other struct{ Table, Name, Text string }

// declaration is what a kind must implement, so that others can check and describe it.
type declaration interface {
	// Check returns what is wrong, and the key that is wrong; "" is none.
	Check() (key string, err error)
	fmt.Stringer
}

// others checks the registered declarations of the kinds that need no planning. If the settings
// were not loaded for this registry, they lack some of the declarations: it adds those.
func (c *planner) others(p *Plan, registry *publisher.Registry) {
	v := reflect.ValueOf(c.settings).Elem()
	for _, r := range settingsSchema.rules {
		if r.kind != kindNamed || !r.field(v).Type().Elem().Elem().Implements(reflect.TypeFor[declaration]()) {
			continue
		}
		field := r.field(v)
		registry.Each(r.name, func(name string, registered any) {
			value := reflect.ValueOf(registered)
			if own := field.MapIndex(reflect.ValueOf(name)); own.IsValid() {
				value = own.Elem()
			} else {
				c.settings.add(r, name, value)
			}
			c.limits(r.name+"."+name, value, r.table)
			d := value.Interface().(declaration)
			if key, err := d.Check(); err != nil {
				c.declaration(r.name+"."+name+"."+key, r.table.byName[key].valueText(value), err.Error())
			}
			p.Others = append(p.Others, Other{r.name, name, d.String()})
		})
	}
}

// valueText returns the value of a key in a struct, as a problem shows it.
func (r *rule) valueText(of reflect.Value) string {
	field := r.field(of)
	switch r.kind {
	case kindNumber, kindDuration, kindSize:
		return r.show(field.Convert(reflect.TypeFor[int64]()).Int())
	}
	return show(fmt.Sprint(field.Interface()))
}
