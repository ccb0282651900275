// Package bank is the bank of the tutorial: a service that is slow, that fails one time in three, and that
// charges each Idempotency-Key once.
package bank

import (
	"fmt"
	"sync"

	"zamqp/publisher"
)

// charges are the payments by their key. Handlers of one server run on one thread, but tests
// have several servers.
var charges = struct {
	sync.Mutex
	numbers map[string]int
	asked   int
}{numbers: map[string]int{}}

// charge is a demand for money.
type charge struct {
	Key      string `header:"Idempotency-Key" validate:"required,max=64"`
	Customer string `json:"customer" validate:"required"`
	Quantity int    `json:"quantity" validate:"min=1"`
}

// A receipt is the answer.
type receipt struct {
	Charge string `json:"charge"`
}

func init() {
	publisher.Handle("POST /bank/charges", publisher.JSON(take))
}

func take(r *publisher.Request, in charge) (receipt, error) {
	charges.Lock()
	defer charges.Unlock()
	charges.asked++
	if charges.asked%3 == 1 {
		return receipt{}, publisher.Errorf(503, "the bank is busy")
	}
	if in.Quantity > 100 {
		return receipt{}, publisher.Errorf(402, "%s cannot pay %d", in.Customer, in.Quantity)
	}
	number, again := charges.numbers[in.Key]
	if !again {
		number = len(charges.numbers) + 1
		charges.numbers[in.Key] = number
	}
	return receipt{fmt.Sprintf("charge-%d", number)}, nil
}
