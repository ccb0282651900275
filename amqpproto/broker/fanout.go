package broker

// fanoutType sends a message to all bindings. §3.1.3.2.
var fanoutType = exchangeType{
	newIndex: func(x *exchange) bindingIndex { return fanoutIndex{x} },
	units:    followUnits,
}

// fanoutIndex needs no more than the bindings that the exchange has.
type fanoutIndex struct{ x *exchange }

func (fanoutIndex) add(*binding)    {}
func (fanoutIndex) remove(*binding) {}

func (f fanoutIndex) match(_ []byte, dst [][]*binding) [][]*binding { return append(dst, f.x.bindings) }
