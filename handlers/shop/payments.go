package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"zamqp/publisher"
)

// pay has an order paid. An error means that the message comes again later, so each part of it
// can be done again: the bank knows the order's id and charges it once, and the rest is the
// transaction. Its inbox makes sure that a second copy of the message has no effect.
func pay(r *publisher.Request, o order) (struct{}, error) {
	// The bank may be slow. The pool of its own bounds how many wait for it, and nobody else
	// waits behind them. No transaction is open meanwhile: it would keep others from writing.
	var charge string
	err := r.OffloadTo("shop-bank", func() (err error) {
		charge, err = chargeBank(r.Context(), o)
		return err
	})
	if err != nil {
		return struct{}{}, err
	}
	o.State, o.Charge = "paid", charge
	if charge == "" {
		o.State = "declined"
	}
	tx, err := r.SQL(database)
	if err != nil {
		return struct{}{}, err
	}
	if _, err := tx.ExecContext(r.Context(), `UPDATE orders SET state = ?, charge = ? WHERE id = ? AND state = 'new'`,
		o.State, o.Charge, o.ID); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, tell(r, "order."+o.State, o)
}

// chargeBank asks the bank for the money, and returns the number of the payment; "" means that
// the bank has refused for good.
func chargeBank(ctx context.Context, o order) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, settings.BankTimeout)
	defer cancel()
	body := strings.NewReader(fmt.Sprintf(`{"customer": %q, "quantity": %d}`, o.Customer, o.Quantity))
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, settings.Bank, body)
	if err != nil {
		return "", publisher.Permanent(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Idempotency-Key", o.ID) // the bank charges the same order once
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", fmt.Errorf("the bank: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusOK, http.StatusCreated:
		var paid struct {
			Charge string `json:"charge"`
		}
		if err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&paid); err != nil {
			return "", fmt.Errorf("the bank's answer: %w", err)
		}
		return paid.Charge, nil
	case http.StatusPaymentRequired:
		return "", nil
	}
	return "", fmt.Errorf("the bank answers %s", answer.Status)
}
