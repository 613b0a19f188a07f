package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/orderly/internal/sandbox"
)

// Client is a customer of a running Orderly: it knows what any HTTP client knows, and the sandbox provider's book.
type Client struct {
	API     string
	sandbox string
	Token   string
	HTTP    http.Client
}

// NewClient returns a client of the API and of the sandbox provider at these URLs.
func NewClient(api, sandbox string) *Client {
	return &Client{
		API: strings.TrimRight(api, "/"), sandbox: strings.TrimRight(sandbox, "/"),
		HTTP: http.Client{Timeout: 10 * time.Second},
	}
}

// Line is one line of an order.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Order is an order as the API shows it.
type Order struct {
	ID         string `json:"id"`
	State      string `json:"state"`
	Reason     string `json:"reason"`
	TotalMinor int64  `json:"total_minor"`
	Currency   string `json:"currency"`
	Timeline   []struct {
		Type string    `json:"type"`
		Time time.Time `json:"time"`
	} `json:"timeline"`
	Mails []struct {
		Template string `json:"template"`
	} `json:"mails"`
}

// Ended reports whether the order has come to one of its ends.
func (o Order) Ended() bool { return o.State != "pending" && o.State != "confirmed" }

// Register registers a customer and signs in; what the client asks from then on, it asks as that customer.
func (c *Client) Register(ctx context.Context, email, name, password string) error {
	if err := c.call(ctx, http.MethodPost, c.API+"/v1/users", nil,
		map[string]string{"email": email, "name": name, "password": password}, nil); err != nil {
		return fmt.Errorf("register a customer: %w", err)
	}
	var session struct {
		Token string `json:"token"`
	}
	if err := c.call(ctx, http.MethodPost, c.API+"/v1/sessions", nil,
		map[string]string{"email": email, "password": password}, &session); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	c.Token = session.Token
	return nil
}

// Place places an order. Idempotent by key.
func (c *Client) Place(ctx context.Context, key string, lines []Line, method string) (Order, error) {
	var order Order
	err := c.call(ctx, http.MethodPost, c.API+"/v1/orders", http.Header{"Idempotency-Key": {`"` + key + `"`}},
		map[string]any{"lines": lines, "payment_method": method}, &order)
	return order, err
}

// Order reads an order.
func (c *Client) Order(ctx context.Context, id string) (Order, error) {
	var order Order
	err := c.call(ctx, http.MethodGet, c.API+"/v1/orders/"+id, nil, nil, &order)
	return order, err
}

// Available is how many pieces of each SKU can still be ordered.
func (c *Client) Available(ctx context.Context) (map[string]int64, error) {
	var list struct {
		Products []struct {
			SKU       string `json:"sku"`
			Available *int64 `json:"available"`
		} `json:"products"`
	}
	if err := c.call(ctx, http.MethodGet, c.API+"/v1/products", nil, nil, &list); err != nil {
		return nil, err
	}
	stock := make(map[string]int64, len(list.Products))
	for _, p := range list.Products {
		if p.Available != nil {
			stock[p.SKU] = *p.Available
		}
	}
	return stock, nil
}

// Book is what the payment provider believes about an order.
func (c *Client) Book(ctx context.Context, orderID string) ([]sandbox.Charge, error) {
	var charges []sandbox.Charge
	err := c.call(ctx, http.MethodGet, c.sandbox+"/book?order_id="+url.QueryEscape(orderID), nil, nil, &charges)
	if err != nil {
		return nil, fmt.Errorf("read the sandbox provider's book (--sandbox-url): %w", err)
	}
	return charges, nil
}

// Calls is how often the sandbox provider was asked for what, for an order.
func (c *Client) Calls(ctx context.Context, orderID string) (map[string]int, error) {
	var orders map[string]map[string]int
	err := c.call(ctx, http.MethodGet, c.sandbox+"/sandbox/calls?order_id="+url.QueryEscape(orderID), nil, nil, &orders)
	return orders[orderID], err
}

func (c *Client) call(ctx context.Context, method, target string, header http.Header, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, target, &body)
	if err != nil {
		return err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" && strings.HasPrefix(target, c.API) {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		var problem struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
		}
		_ = json.NewDecoder(response.Body).Decode(&problem) // an answer that is no problem document still has its status
		return fmt.Errorf("%s %s: %s %s %s", method, target, response.Status, problem.Code, problem.Detail)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(out)
}
