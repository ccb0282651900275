package amqpdoor

// Late makes a handover wait for the broker's word on its copy, however long that
// takes: a broker that has the copy and is slow would have two of the message if
// the original went back.
func (h *handover) Late() {}
