package events_test

import (
	"encoding/json"
	"fmt"
	"time"

	"example.com/orderly/events"
)

// An event as it travels, read back into the Go type of its data.
func Example() {
	made, err := events.New("orders", "o-1", 5, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		events.OrderCompleted{OrderID: "o-1", CustomerID: "c-1", TotalMinor: 3000, Currency: "EUR"})
	if err != nil {
		panic(err)
	}
	body, err := json.Marshal(made)
	if err != nil {
		panic(err)
	}

	var received events.Event
	if err := json.Unmarshal(body, &received); err != nil {
		panic(err)
	}
	completed, err := events.As[events.OrderCompleted](received)
	if err != nil {
		panic(err)
	}
	fmt.Println(received.ID, received.Type, completed.CustomerID, completed.TotalMinor)
	// Output: orders/o-1/5 order.completed.v1 c-1 3000
}

func ExampleCurrencyDigits() {
	for _, currency := range []string{"EUR", "JPY", "KWD"} {
		digits, _ := events.CurrencyDigits(currency)
		unit := 1
		for range digits {
			unit *= 10
		}
		fmt.Printf("3000 minor units are %d %s\n", 3000/unit, currency)
	}
	// Output:
	// 3000 minor units are 30 EUR
	// 3000 minor units are 3000 JPY
	// 3000 minor units are 3 KWD
}
