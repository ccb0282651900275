package broker

// fanoutType sends a message to all bindings. §3.1.3.2.
var fanoutType = exchangeType{
	newIndex: func(x *exchange) bindingIndex { return fanoutIndex{x} },
	units:    followUnits,
}

// fanoutIndex only uses the list of bindings that every exchange has.
type fanoutIndex struct{ x *exchange }

func (fanoutIndex) add(*binding)    {}
func (fanoutIndex) remove(*binding) {}

func (f fanoutIndex) match(_ []byte, to follower) {
	if list := f.x.bindings; len(list) > 0 {
		to.follow(list)
	}
}
