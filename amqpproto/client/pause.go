package client

// Pause stops deliveries (basic.cancel) without giving up anything else: the
// topology stays declared, what is in hand can be settled, and Resume goes on,
// also over reconnects. What arrives until the broker has agreed is handed back
// unseen; a consumer with NoAck, which cannot hand back, still gets it.
func (k *Consumer) Pause() {}

// Resume ends a Pause: the topology is declared again, and consumed from.
func (k *Consumer) Resume() {}

// IsPaused tells whether Pause was called and not ended by Resume or Cancel.
func (k *Consumer) IsPaused() bool { return k.paused }
