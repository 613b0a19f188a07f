package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"example.com/orderly/internal/money"
	"example.com/orderly/internal/orders"
)

// productFields are the fields of a product in a list. Each of them is written there, so that a misspelt one is not taken for a zero.
var productFields = []string{"sku", "name", "price_minor", "currency", "on_hand"}

// parseProducts reads a JSON list of products. An error names the line, and the product where it has an SKU.
func parseProducts(body []byte) ([]Product, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // which editors on Windows begin a file with
	in := json.NewDecoder(bytes.NewReader(body))
	line := func() int { return 1 + bytes.Count(body[:in.InputOffset()], []byte("\n")) }
	if begin, err := in.Token(); err != nil || begin != json.Delim('[') {
		return nil, errors.New("line 1: it must be a JSON list: [{\"sku\": ...}, ...]")
	}
	var list []Product
	lines := map[string]int{}
	for in.More() {
		fields, at, err := readProduct(in, line)
		if err != nil {
			return nil, err
		}
		p, err := fields.product()
		if p.Line = at; err == nil && lines[p.SKU] > 0 {
			err = fmt.Errorf("it is in line %d already", lines[p.SKU])
		}
		if err != nil {
			return nil, fmt.Errorf("line %d, product %q: %w", at, p.SKU, err)
		}
		lines[p.SKU] = at
		list = append(list, p)
	}
	if _, err := in.Token(); err != nil {
		return nil, malformedJSON(line(), err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: something follows the list", line())
	}
	return list, nil
}

func malformedJSON(line int, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("line %d: the list has no end", line)
	}
	return fmt.Errorf("line %d: no JSON: %w", line, err)
}

// field is one "name": value of a product.
type field struct {
	name  string
	value json.RawMessage
}

type fields []field

// readProduct reads one object; line is where the reader is, and at where the object begins.
func readProduct(in *json.Decoder, line func() int) (all fields, at int, err error) {
	begin, err := in.Token()
	at = line()
	if err != nil {
		return nil, at, malformedJSON(at, err)
	}
	if begin != json.Delim('{') {
		return nil, at, fmt.Errorf("line %d: %v is no product: {\"sku\": ...}", at, begin)
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, at, malformedJSON(line(), err)
		}
		f := field{name: name.(string)} // JSON allows nothing else here
		if err := in.Decode(&f.value); err != nil {
			return nil, at, malformedJSON(line(), err)
		}
		all = append(all, f)
	}
	if _, err = in.Token(); err != nil {
		return nil, at, malformedJSON(line(), err)
	}
	return all, at, nil
}

// product checks the fields. The product has its SKU also beside an error, where the list says it.
func (all fields) product() (p Product, err error) {
	into := map[string]any{"sku": &p.SKU, "name": &p.Name, "price_minor": &p.PriceMinor, "currency": &p.Currency, "on_hand": &p.OnHand}
	seen := map[string]bool{}
	for _, f := range all {
		switch target := into[f.name]; {
		case target == nil:
			err = errors.Join(err, fmt.Errorf("there is no field %q: a product has %s", f.name, strings.Join(productFields, ", ")))
		case seen[f.name]:
			err = errors.Join(err, fmt.Errorf("the field %s is there twice", f.name))
		case string(f.value) == "null" || json.Unmarshal(f.value, target) != nil:
			err = errors.Join(err, fmt.Errorf("%s can't be %.40s", f.name, f.value))
		}
		seen[f.name] = true
	}
	for _, name := range productFields {
		if !seen[name] {
			err = errors.Join(err, fmt.Errorf("the field %s is missing", name))
		}
	}
	if err != nil {
		return p, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return p, p.check()
}

func (p Product) check() error {
	_, unknown := money.New(p.PriceMinor, p.Currency)
	switch {
	case p.SKU == "" || p.Name == "":
		return errors.New("sku and name can't be empty")
	case slices.ContainsFunc([]string{p.SKU, p.Name}, func(text string) bool { return strings.ContainsRune(text, 0) }):
		return errors.New("sku and name can't hold a NUL")
	case orders.CheckSKU(p.SKU) != nil:
		return orders.CheckSKU(p.SKU)
	case unknown != nil:
		return unknown
	case p.PriceMinor > orders.MaxMinor:
		return fmt.Errorf("price_minor can't be %d: it is at most %d", p.PriceMinor, int64(orders.MaxMinor))
	case p.PriceMinor <= 0:
		return fmt.Errorf("price_minor can't be %d: it is above zero, in minor units (1000 for 10.00 EUR)", p.PriceMinor)
	case p.OnHand < 0:
		return fmt.Errorf("on_hand can't be %d: it is zero or more", p.OnHand)
	}
	return nil
}
