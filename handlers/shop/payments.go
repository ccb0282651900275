package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"zamqp/publisher"
)

// pay has an order paid. An error means that the message comes again later, so each part of it
// can be done again: the bank knows the order's id and charges it once, and the rest is the
// transaction. Its inbox makes sure that a second copy of the message has no effect.
func pay(r *publisher.Request, o order) (struct{}, error) {
	// The bank may be slow. The pool of its own bounds how many wait for it, and nobody else
	// waits behind them. No transaction is open meanwhile: it would keep others from writing.
	var paid bool
	err := r.OffloadTo("shop-bank", func() (err error) {
		o.Charge, paid, err = chargeBank(r.Context(), o)
		return err
	})
	if err != nil {
		return struct{}{}, err
	}
	if o.State = "declined"; paid {
		o.State = "paid"
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

// chargeBank asks the bank for the money, and returns the number of the payment. paid is false if the
// bank has refused for good.
func chargeBank(ctx context.Context, o order) (number string, paid bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, settings.BankTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{"customer": o.Customer, "quantity": o.Quantity})
	if err != nil {
		return "", false, publisher.Permanent(err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, settings.Bank, bytes.NewReader(body))
	if err != nil {
		return "", false, publisher.Permanent(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Idempotency-Key", o.ID) // the bank charges the same order once
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", false, fmt.Errorf("the bank: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusOK, http.StatusCreated:
		var said struct {
			Charge string `json:"charge"`
		}
		if err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&said); err != nil {
			return "", false, fmt.Errorf("the bank's answer: %w", err)
		}
		if said.Charge == "" {
			return "", false, errors.New("the bank's answer has no number of a payment")
		}
		return said.Charge, true, nil
	case http.StatusPaymentRequired:
		return "", false, nil
	}
	return "", false, fmt.Errorf("the bank answers %s", answer.Status)
}
