package node

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"

	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/orders"
)

//go:embed products.json
var demoProducts []byte

// Product is one line of a product list.
type Product struct {
	SKU        string `json:"sku"`
	Name       string `json:"name"`
	PriceMinor int64  `json:"price_minor"`
	Currency   string `json:"currency"`
	OnHand     int64  `json:"on_hand"`
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
	var list []Product
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("ORDERLY_PRODUCTS: %s is no list of products: %w", c.Products, err)
	}
	return list, nil
}

// addProducts adds the product list: prices to orders, quantities to inventory. Products that are there already stay as they are.
func addProducts(ctx context.Context, cfg config.Config, priceList *orders.Service, stock *inventory.Service) error {
	list, err := Products(cfg)
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
	return nil
}
