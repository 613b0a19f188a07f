package node

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"strings"

	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/orders"
)

//go:embed products.json
var demoProducts []byte

// Product is an entry of a product list.
type Product struct {
	SKU        string `json:"sku"`
	Name       string `json:"name"`
	PriceMinor int64  `json:"price_minor"`
	Currency   string `json:"currency"`
	OnHand     int64  `json:"on_hand"`
	// Line is where the entry begins in the list.
	Line int `json:"-"`
}

// Products is the product list that the settings name; nil when they name none.
func Products(c config.Config) ([]Product, error) {
	body := demoProducts
	switch c.Products {
	case "":
		return nil, nil
	case "demo":
	default:
		var err error
		if body, err = os.ReadFile(c.Products); err != nil {
			return nil, fmt.Errorf("ORDERLY_PRODUCTS names no file that can be read: %w", err)
		}
	}
	list, err := parseProducts(body)
	if err != nil {
		return nil, fmt.Errorf("ORDERLY_PRODUCTS: %s is no list of products: %w", c.Products, err)
	}
	return list, nil
}

// addProducts adds the product list: prices to orders, quantities to inventory. Products that are there already stay as they are. It says
// of each entry what became of it; of the built-in list only what differs.
func addProducts(ctx context.Context, cfg config.Config, priceList *orders.Service, stock *inventory.Service, say func(line string)) error {
	list, err := Products(cfg)
	if err != nil || len(list) == 0 {
		return err
	}
	prices, levels, err := known(ctx, priceList, stock)
	if err != nil {
		return err
	}
	var priced []orders.Product
	var counted []inventory.Quantity
	for _, p := range list {
		priced = append(priced, orders.Product{SKU: p.SKU, Name: p.Name, PriceMinor: p.PriceMinor, Currency: p.Currency})
		counted = append(counted, inventory.Quantity{SKU: p.SKU, Quantity: p.OnHand})
	}
	if err := priceList.AddProducts(ctx, priced); err != nil {
		return fmt.Errorf("add the products (ORDERLY_PRODUCTS): %w", err)
	}
	if err := stock.AddStock(ctx, counted); err != nil {
		return fmt.Errorf("add the products' stock (ORDERLY_PRODUCTS): %w", err)
	}
	for _, p := range list {
		outcome, differs := p.comparedWith(prices, levels)
		if differs || cfg.Products != "demo" {
			say(fmt.Sprintf("Product list, line %d: %s %s.", p.Line, p.SKU, outcome))
		}
	}
	return nil
}

// known are the products that are there, by SKU. Of two processes that add the same list at once both may find that one is not there.
func known(ctx context.Context, priceList *orders.Service, stock *inventory.Service) (map[string]orders.Product, map[string]inventory.Level, error) {
	priced, err := priceList.Products(ctx)
	if err != nil {
		return nil, nil, err
	}
	counted, err := stock.Levels(ctx)
	if err != nil {
		return nil, nil, err
	}
	prices, levels := map[string]orders.Product{}, map[string]inventory.Level{}
	for _, p := range priced {
		prices[p.SKU] = p
	}
	for _, l := range counted {
		levels[l.SKU] = l
	}
	return prices, levels, nil
}

// comparedWith says what became of the entry: added, or left alone. differs says that what was there is not what the list says.
func (p Product) comparedWith(prices map[string]orders.Product, levels map[string]inventory.Level) (outcome string, differs bool) {
	price, priced := prices[p.SKU]
	level, counted := levels[p.SKU]
	if !priced && !counted {
		return "added", false
	}
	var differences []string
	compare := func(there bool, what string, here, inFile any) {
		if there && here != inFile {
			differences = append(differences, fmt.Sprintf("%s %v here, %v in the file", what, here, inFile))
		}
	}
	compare(priced, "name", price.Name, p.Name)
	compare(priced, "price", price.PriceMinor, p.PriceMinor)
	compare(priced, "currency", price.Currency, p.Currency)
	compare(counted, "on hand", level.OnHand, p.OnHand)
	if len(differences) == 0 {
		return "left alone", false
	}
	return "left alone, differs: " + strings.Join(differences, "; "), true
}
