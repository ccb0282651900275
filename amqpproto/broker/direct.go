package broker

// directType sends a message to the bindings whose key equals its routing key.
// §3.1.3.1.
var directType = exchangeType{
	newIndex: func(*exchange) bindingIndex { return directIndex{} },
	keyed:    true,
	units:    followUnits,
}

// directIndex finds bindings by their key.
type directIndex map[string][]*binding

func (d directIndex) add(b *binding) {
	list := d[b.key]
	b.inIndex = len(list)
	d[b.key] = append(list, b)
}

func (d directIndex) remove(b *binding) {
	if list := without(d[b.key], b); len(list) > 0 {
		d[b.key] = list
	} else {
		delete(d, b.key)
	}
}

func (d directIndex) match(key []byte, to follower) {
	if list := d[string(key)]; len(list) > 0 {
		to.follow(list)
	}
}
