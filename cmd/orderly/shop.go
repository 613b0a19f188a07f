package main

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

// shop is a customer of a running Orderly: it knows what any HTTP client knows, and the sandbox provider's book.
type shop struct {
	api     string
	sandbox string
	token   string
	client  http.Client
}

func newShop(api, sandbox string) *shop {
	return &shop{
		api: strings.TrimRight(api, "/"), sandbox: strings.TrimRight(sandbox, "/"),
		client: http.Client{Timeout: 10 * time.Second},
	}
}

type shopLine struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

type shopOrder struct {
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

func (o shopOrder) ended() bool { return o.State != "pending" && o.State != "confirmed" }

func (s *shop) register(ctx context.Context, email, name, password string) error {
	if err := s.call(ctx, http.MethodPost, s.api+"/v1/users", nil,
		map[string]string{"email": email, "name": name, "password": password}, nil); err != nil {
		return fmt.Errorf("register a customer: %w", err)
	}
	var session struct {
		Token string `json:"token"`
	}
	if err := s.call(ctx, http.MethodPost, s.api+"/v1/sessions", nil,
		map[string]string{"email": email, "password": password}, &session); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	s.token = session.Token
	return nil
}

// place places an order. Idempotent by key.
func (s *shop) place(ctx context.Context, key string, lines []shopLine, method string) (shopOrder, error) {
	var order shopOrder
	err := s.call(ctx, http.MethodPost, s.api+"/v1/orders", http.Header{"Idempotency-Key": {`"` + key + `"`}},
		map[string]any{"lines": lines, "payment_method": method}, &order)
	return order, err
}

func (s *shop) order(ctx context.Context, id string) (shopOrder, error) {
	var order shopOrder
	err := s.call(ctx, http.MethodGet, s.api+"/v1/orders/"+id, nil, nil, &order)
	return order, err
}

// available is how many pieces of each SKU can still be ordered.
func (s *shop) available(ctx context.Context) (map[string]int64, error) {
	var list struct {
		Products []struct {
			SKU       string `json:"sku"`
			Available *int64 `json:"available"`
		} `json:"products"`
	}
	if err := s.call(ctx, http.MethodGet, s.api+"/v1/products", nil, nil, &list); err != nil {
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

// book is what the payment provider believes about an order.
func (s *shop) book(ctx context.Context, orderID string) ([]sandbox.Charge, error) {
	var charges []sandbox.Charge
	err := s.call(ctx, http.MethodGet, s.sandbox+"/book?order_id="+url.QueryEscape(orderID), nil, nil, &charges)
	if err != nil {
		return nil, fmt.Errorf("read the sandbox provider's book (--sandbox-url): %w", err)
	}
	return charges, nil
}

// calls is how often the sandbox provider was asked for what, for an order.
func (s *shop) calls(ctx context.Context, orderID string) (map[string]int, error) {
	var orders map[string]map[string]int
	err := s.call(ctx, http.MethodGet, s.sandbox+"/sandbox/calls?order_id="+url.QueryEscape(orderID), nil, nil, &orders)
	return orders[orderID], err
}

func (s *shop) call(ctx context.Context, method, target string, header http.Header, in, out any) error {
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
	if s.token != "" && strings.HasPrefix(target, s.api) {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	response, err := s.client.Do(request)
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
