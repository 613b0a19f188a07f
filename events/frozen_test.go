package events_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
)

var update = flag.Bool("update", false, "write the golden files of types that have none")

// examples is one event of each type with every field set. They are frozen: what is in testdata was published.
func examples() map[string]events.Payload {
	stock := []events.Stock{{SKU: "mug-blue", Quantity: 2}}
	list := []events.Payload{
		events.OrderCreated{OrderID: "o-1", CustomerID: "c-1", TotalMinor: 3000, Currency: "EUR",
			Lines: []events.Line{{SKU: "mug-blue", Quantity: 2, UnitPriceMinor: 1500}}},
		events.OrderConfirmed{OrderID: "o-1", CustomerID: "c-1", TotalMinor: 3000, Currency: "EUR"},
		events.OrderCompleted{OrderID: "o-1", CustomerID: "c-1", TotalMinor: 3000, Currency: "EUR"},
		events.OrderRejected{OrderID: "o-1", CustomerID: "c-1", Reason: "out_of_stock"},
		events.OrderCancelled{OrderID: "o-1", CustomerID: "c-1", Reason: "customer_request"},
		events.OrderReversed{OrderID: "o-1", CustomerID: "c-1", Reason: "capture_refused"},
		events.OrderParked{OrderID: "o-1", Step: "capture", Reason: "provider_unavailable"},
		events.OrderResumed{OrderID: "o-1", Step: "capture"},
		events.InventoryReserved{OrderID: "o-1", Lines: stock},
		events.InventoryRejected{OrderID: "o-1", Reason: "out_of_stock"},
		events.InventoryReleased{OrderID: "o-1", Lines: stock},
		events.StockAdjusted{SKU: "mug-blue", Change: -3, OnHand: 17, Note: "broken in transit"},
		events.PaymentAuthorized{OrderID: "o-1", AmountMinor: 3000, Currency: "EUR"},
		events.PaymentDeclined{OrderID: "o-1", AmountMinor: 3000, Currency: "EUR", Reason: "insufficient_funds"},
		events.PaymentVoided{OrderID: "o-1", AmountMinor: 3000, Currency: "EUR"},
		events.PaymentCaptured{OrderID: "o-1", AmountMinor: 3000, Currency: "EUR"},
		events.PaymentRefunded{OrderID: "o-1", AmountMinor: 3000, Currency: "EUR"},
		events.UserRegistered{UserID: "c-1"},
		events.UserUpdated{UserID: "c-1", Version: 2},
		events.UserDeleted{UserID: "c-1"},
	}
	byType := map[string]events.Payload{}
	for _, payload := range list {
		byType[payload.EventType()] = payload
	}
	return byType
}

func TestWhatIsPublishedIsFrozen(t *testing.T) {
	t.Parallel()
	all := examples()
	published, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	for _, path := range published {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if !slices.ContainsFunc(events.Catalogue(), func(p events.Payload) bool { return p.EventType() == name }) {
			t.Errorf("%s has been published and is no longer in the catalogue", name)
		}
	}
	for _, entry := range events.Catalogue() {
		t.Run(entry.EventType(), func(t *testing.T) {
			t.Parallel()
			payload, there := all[entry.EventType()]
			require.True(t, there, "add an example of %s", entry.EventType())
			event, err := events.New("service", "o-1", 7, time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC), payload)
			require.NoError(t, err)
			event.TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
			encoded, err := json.MarshalIndent(event, "", "  ")
			require.NoError(t, err)
			encoded = append(encoded, '\n')

			path := filepath.Join("testdata", entry.EventType()+".json")
			golden, err := os.ReadFile(path)
			if os.IsNotExist(err) && *update {
				require.NoError(t, os.WriteFile(path, encoded, 0o600))
				golden, err = encoded, nil
			}
			require.NoError(t, err, "%s is new: run this test with -update", entry.EventType())
			if string(golden) != string(encoded) {
				t.Fatalf("%s has been published and now encodes differently: %s. It may only gain an optional field, which its example leaves empty; "+
					"anything else is a new type with the next version in its name", entry.EventType(), strings.Join(changes(t, golden, encoded), "; "))
			}

			var decoded events.Event
			require.NoError(t, json.Unmarshal(golden, &decoded))
			require.Equal(t, event.ID, decoded.ID)
			require.Equal(t, event.Sequence, decoded.Sequence)
			require.Equal(t, event.TraceParent, decoded.TraceParent)
			require.True(t, event.Time.Equal(decoded.Time))
			data := reflect.New(reflect.TypeOf(payload))
			require.NoError(t, json.Unmarshal(decoded.Data, data.Interface()))
			require.Equal(t, payload, data.Elem().Interface())
		})
	}
}

// changes lists which fields differ between two encodings of one event.
func changes(t *testing.T, before, after []byte) []string {
	t.Helper()
	was, is := fields(t, before), fields(t, after)
	var list []string
	for path, value := range was {
		switch now, there := is[path]; {
		case !there:
			list = append(list, fmt.Sprintf("%s is gone", path))
		case now != value:
			list = append(list, fmt.Sprintf("%s is %s and was %s", path, now, value))
		}
	}
	for path, value := range is {
		if _, there := was[path]; !there {
			list = append(list, fmt.Sprintf("%s is new, with %s", path, value))
		}
	}
	if len(list) == 0 {
		return []string{"the fields come in another order"}
	}
	slices.Sort(list)
	return list
}

// fields maps the path of each value in a JSON document, such as data.lines[0].sku, to the value's JSON.
func fields(t *testing.T, document []byte) map[string]string {
	t.Helper()
	found := map[string]string{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for name, field := range value {
				walk(strings.TrimPrefix(path+"."+name, "."), field)
			}
		case []any:
			for i, element := range value {
				walk(fmt.Sprintf("%s[%d]", path, i), element)
			}
		default:
			text, err := json.Marshal(value)
			require.NoError(t, err)
			found[path] = string(text)
		}
	}
	var value any
	require.NoError(t, json.Unmarshal(document, &value))
	walk("", value)
	return found
}
