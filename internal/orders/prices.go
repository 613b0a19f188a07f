package orders

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/money"
	"example.com/orderly/internal/paymenttoken"
)

const (
	maxLines    = 100
	maxQuantity = 10_000
	maxSKU      = 200
)

// MaxMinor is the largest price and the largest total of an order, in minor units. It is the largest whole number that all readers of JSON
// read exactly (RFC 8259, section 6; RFC 7493, section 2.2): JavaScript has no other numbers than those of IEEE 754.
const MaxMinor = 1<<53 - 1

// CheckSKU says what is wrong with an SKU that no price list can have: it has 1 to 200 characters, none of them a control character.
func CheckSKU(sku string) error {
	if count := utf8.RuneCountInString(sku); count < 1 || count > maxSKU || !utf8.ValidString(sku) || strings.ContainsFunc(sku, unicode.IsControl) {
		return fmt.Errorf("an SKU has 1 to %d characters, none of them a control character", maxSKU)
	}
	return nil
}

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
			if err := CheckSKU(p.SKU); err != nil {
				return err
			}
			if p.PriceMinor > MaxMinor {
				return fmt.Errorf("product %s: its price is above %d minor units", p.SKU, int64(MaxMinor))
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
			return nil, total, fault.New(fault.Invalid, "unknown_sku", "line %d: there is no product %s", i+1, shown(w.SKU))
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
	if total.Minor > MaxMinor {
		return nil, total, fault.New(fault.Invalid, "amount_overflow",
			"the total is above %d minor units, the largest number that every client reads exactly", int64(MaxMinor))
	}
	return lines, total, nil
}

// shown is an SKU fit to be sent back to the customer.
func shown(sku string) string {
	if len(sku) > 64 || paymenttoken.HoldsCardNumber(sku) {
		return "with that SKU"
	}
	return strconv.Quote(sku)
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
