package orders

// ledgerMax is how many orders are remembered. The oldest are forgotten first.
const ledgerMax = 100_000

// A ledger counts orders by id. It needs no lock: handlers run on one thread.
type ledger struct {
	count map[string]int
	order []string // ids in a ring, oldest at next
	next  int
}

var billed = ledger{count: map[string]int{}}

func (l *ledger) add(id string) {
	if l.count[id]++; l.count[id] > 1 {
		return
	}
	if len(l.order) < ledgerMax {
		l.order = append(l.order, id)
		return
	}
	delete(l.count, l.order[l.next])
	l.order[l.next] = id
	l.next = (l.next + 1) % ledgerMax
}
