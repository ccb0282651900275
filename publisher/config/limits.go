package config

import "reflect"

// limits reports values of a handler package that the configuration would refuse: values out
// of their range, words that are not allowed, names that are too long for AMQP.
func (c *planner) limits(key string, v reflect.Value, s *schema) {
	for _, r := range s.rules {
		field, here := r.field(v), key+"."+r.name
		switch r.kind {
		case kindTable:
			c.limits(here, field, r.table)
		case kindText, kindList:
			c.limitText(here, field.Interface(), r)
		case kindNumber, kindDuration, kindSize:
			n := field.Convert(reflect.TypeFor[int64]()).Int()
			if n == 0 || n < 0 && r.zero < 0 { // not set, or off
				continue
			}
			if err := r.inRange(n); err != nil {
				c.declaration(here, r.show(n), err.Error())
			} else if text, shown := r.fraction(n); text != "" {
				c.declaration(here, shown, text)
			}
		}
	}
}

func (c *planner) limitText(key string, value any, r *rule) {
	if text, shown := r.badName(value); text != "" {
		c.declaration(key, shown, text)
		return
	}
	if word, ok := value.(string); ok && word != "" {
		if err := r.isWord(word); err != nil {
			c.declaration(key, show(word), err.Error())
		}
	}
}
