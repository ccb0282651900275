//go:build outside

// Command generated calls a server by the client that was generated from its OpenAPI document.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"example.org/generated/client"
)

func main() {
	if err := call(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func call(url string) error {
	c, err := client.NewClientWithResponses(url)
	if err != nil {
		return err
	}
	ctx := context.Background()
	gift, until, count := client.Gift, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), int32(3)
	price := 1.5
	made, err := c.CreateBasketWithResponse(ctx, "a1", &client.CreateBasketParams{XTenant: "eu"}, client.CreateBasketJSONRequestBody{
		Kind: &gift, Until: &until, Lines: []client.Line{{Article: "book", Count: &count, Price: &price}},
	})
	if err != nil {
		return err
	}
	if b := made.JSON201; b == nil || b.Id != "a1-1" || b.Total != 4.5 || b.Kind != "gift" || *b.Tenant != "eu" || !b.Until.Equal(until) || (*b.Lines)[0].Article != "book" {
		return fmt.Errorf("createBasket: %s %s", made.Status(), made.Body)
	}
	wrong, err := c.CreateBasketWithResponse(ctx, "a-1", &client.CreateBasketParams{XTenant: "eu"}, client.CreateBasketJSONRequestBody{Lines: []client.Line{{Count: &count}}})
	if err != nil {
		return err
	}
	if p := wrong.ApplicationproblemJSON422; p == nil || p.Errors == nil || len(*p.Errors) != 2 || *(*p.Errors)[0].Path != "path.shop" || *(*p.Errors)[1].Path != "/lines/0/article" {
		return fmt.Errorf("createBasket with mistakes: %s %s", wrong.Status(), wrong.Body)
	}
	tags, limit := []string{"x", "y z", "ü&="}, int64(2)
	list, err := c.ListLinesWithResponse(ctx, &client.ListLinesParams{Tag: &tags, Limit: &limit})
	if err != nil {
		return err
	}
	if l := list.JSON200; l == nil || !l.More || len(*l.Items) != 2 || (*l.Items)[1].Article != "y z" {
		return fmt.Errorf("listLines: %s %s", list.Status(), list.Body)
	}
	gone, err := c.RemoveBasketWithResponse(ctx, 7)
	if err != nil || gone.StatusCode() != http.StatusNoContent {
		return fmt.Errorf("removeBasket: %v %s", err, gone.Status())
	}
	asJSON := func(_ context.Context, req *http.Request) error {
		req.Header.Set("Accept", "application/json")
		return nil
	}
	missing, err := c.RemoveBasketWithResponse(ctx, 404, asJSON)
	if err != nil || missing.ApplicationproblemJSONDefault == nil || *missing.ApplicationproblemJSONDefault.Detail != "there is no basket 404" {
		return fmt.Errorf("removeBasket 404: %v %s %s", err, missing.Status(), missing.Body)
	}
	return nil
}
