package orders

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/money"
)

const (
	maxLines    = 100
	maxQuantity = 10_000
)

// Product is an entry of the price list.
type Product struct {
	SKU        string `db:"sku"`
	Name       string `db:"name"`
	PriceMinor int64  `db:"price_minor"`
	Currency   string `db:"currency"`
}

// Wanted is one line as a customer asks for it.
type Wanted struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Products returns the price list, by SKU.
func (s *Service) Products(ctx context.Context) ([]Product, error) {
	var products []Product
	if err := s.db.Select(ctx, &products, `SELECT sku, name, price_minor, currency FROM prices ORDER BY sku`); err != nil {
		return nil, fmt.Errorf("read the price list: %w", err)
	}
	return products, nil
}

// AddProducts puts products on the price list that are not there yet; the price of one that is stays as it is.
func (s *Service) AddProducts(ctx context.Context, products []Product) error {
	return s.db.InTx(ctx, func(tx *database.Tx) error {
		for _, p := range products {
			if _, err := money.New(p.PriceMinor, p.Currency); err != nil {
				return fmt.Errorf("product %s: %w", p.SKU, err)
			}
			if _, err := tx.Exec(ctx, `
				INSERT INTO prices (sku, name, price_minor, currency) VALUES (?, ?, ?, ?) ON CONFLICT (sku) DO NOTHING`,
				p.SKU, p.Name, p.PriceMinor, p.Currency); err != nil {
				return fmt.Errorf("add product %s: %w", p.SKU, err)
			}
		}
		return nil
	})
}

// quote prices what is wanted. It is the one place a total comes from. Invalid: no_lines, too_many_lines, invalid_quantity,
// unknown_sku, mixed_currencies, amount_overflow.
func quote(ctx context.Context, tx *database.Tx, wanted []Wanted) ([]Line, money.Money, error) {
	var total money.Money
	if len(wanted) == 0 {
		return nil, total, fault.New(fault.Invalid, "no_lines", "an order needs at least one line")
	}
	if len(wanted) > maxLines {
		return nil, total, fault.New(fault.Invalid, "too_many_lines", "an order has at most %d lines, this one has %d", maxLines, len(wanted))
	}
	prices, err := pricesOf(ctx, tx, wanted)
	if err != nil {
		return nil, total, err
	}
	lines := make([]Line, 0, len(wanted))
	for i, w := range wanted {
		if w.Quantity < 1 || w.Quantity > maxQuantity {
			return nil, total, fault.New(fault.Invalid, "invalid_quantity",
				"line %d: the quantity is between 1 and %d, not %d", i+1, maxQuantity, w.Quantity)
		}
		p, known := prices[w.SKU]
		if !known {
			return nil, total, fault.New(fault.Invalid, "unknown_sku", "line %d: there is no product %q", i+1, w.SKU)
		}
		amount, err := money.Money{Minor: p.PriceMinor, Currency: p.Currency}.Times(w.Quantity)
		if err != nil {
			return nil, total, err
		}
		if i == 0 {
			total = money.Money{Currency: p.Currency}
		}
		if total, err = total.Add(amount); err != nil {
			return nil, total, err
		}
		lines = append(lines, Line{SKU: p.SKU, Name: p.Name, Quantity: w.Quantity, UnitPriceMinor: p.PriceMinor})
	}
	return lines, total, nil
}

// pricesOf is the part of the price list that is wanted, by SKU.
func pricesOf(ctx context.Context, tx *database.Tx, wanted []Wanted) (map[string]Product, error) {
	var skus []string
	for _, w := range wanted {
		if storable(w.SKU) && !slices.Contains(skus, w.SKU) {
			skus = append(skus, w.SKU)
		}
	}
	prices := make(map[string]Product, len(skus))
	if len(skus) == 0 {
		return prices, nil
	}
	query, args, err := sqlx.In(`SELECT sku, name, price_minor, currency FROM prices WHERE sku IN (?)`, skus)
	if err != nil {
		return nil, err
	}
	var products []Product
	if err := tx.Select(ctx, &products, query, args...); err != nil {
		return nil, fmt.Errorf("look up %d prices: %w", len(skus), err)
	}
	for _, p := range products {
		prices[p.SKU] = p
	}
	return prices, nil
}
