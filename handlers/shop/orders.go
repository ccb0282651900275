package shop

import (
	"crypto/rand"
	"database/sql"
	"errors"

	"zamqp/publisher"
)

// A newOrder is what a customer sends.
type newOrder struct {
	// Request names the request, so that a client that got no answer can send it again: the
	// second one gets the order of the first.
	Request  string `header:"Idempotency-Key" validate:"max=64,printascii|eq="`
	Item     string `json:"item" validate:"required,max=100"`
	Quantity int    `json:"quantity" default:"1" validate:"min=1,max=1000"`
}

// An order is what the shop answers, publishes and shows.
type order struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	State    string `json:"state"`
	Charge   string `json:"charge,omitempty"`
}

// create takes an order: the row and the message about it are one transaction, so neither
// exists without the other.
func create(r *publisher.Request, in newOrder) (order, error) {
	tx, err := r.SQL(database)
	if err != nil {
		return order{}, err
	}
	o := order{ID: rand.Text(), Customer: r.User(), Item: in.Item, Quantity: in.Quantity, State: "new"}
	row := tx.QueryRowContext(r.Context(), `INSERT INTO orders (id, customer, request, item, quantity, state, charge)
		VALUES (?, ?, nullif(?, ''), ?, ?, ?, '') ON CONFLICT DO NOTHING RETURNING id`,
		o.ID, o.Customer, in.Request, o.Item, o.Quantity, o.State)
	err = row.Scan(&o.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return scan(tx.QueryRowContext(r.Context(), selectOrder+`customer = ? AND request = ?`, o.Customer, in.Request))
	}
	if err != nil {
		return order{}, err
	}
	return o, tell(r, "order.created", o)
}

// tell publishes what has happened to an order, and tells its customer's pages.
func tell(r *publisher.Request, what string, o order) error {
	if err := r.Publish("shop-orders", o, publisher.Key(what), publisher.MessageID(what+"/"+o.ID),
		publisher.Header("customer", o.Customer)); err != nil {
		return err
	}
	return r.Broadcast("shop", publisher.Event{Name: "order", Data: o})
}

// An orderOf is the path of one order.
type orderOf struct {
	ID string `path:"id"`
}

// show answers with an order of the customer.
func show(r *publisher.Request, in orderOf) (order, error) {
	tx, err := r.SQL(database, publisher.SQLReadOnly())
	if err != nil {
		return order{}, err
	}
	o, err := scan(tx.QueryRowContext(r.Context(), selectOrder+`id = ? AND customer = ?`, in.ID, r.User()))
	if errors.Is(err, sql.ErrNoRows) {
		return order{}, publisher.Errorf(404, "there is no order %s of yours", in.ID)
	}
	return o, err
}

// list answers with the newest orders of the customer.
func list(r *publisher.Request, _ struct{}) ([]order, error) {
	tx, err := r.SQL(database, publisher.SQLReadOnly())
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(r.Context(), selectOrder+`customer = ? ORDER BY rowid DESC LIMIT 50`, r.User())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	orders := []order{}
	for rows.Next() {
		o, err := scan(rows)
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, rows.Err()
}

const selectOrder = `SELECT id, customer, item, quantity, state, charge FROM orders WHERE `

// scan reads a row that selectOrder has found.
func scan(row interface{ Scan(to ...any) error }) (o order, err error) {
	err = row.Scan(&o.ID, &o.Customer, &o.Item, &o.Quantity, &o.State, &o.Charge)
	return o, err
}
