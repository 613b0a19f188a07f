package events_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
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
	require.Len(t, all, len(events.Catalogue()))
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
			require.NoError(t, err, "a new type: run this test with -update")
			require.Equal(t, string(golden), string(encoded), "%s is published; what does not fit is a new version", entry.EventType())

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

func TestADecodedEventIsTheOneThatWasEncoded(t *testing.T) {
	t.Parallel()
	event, err := events.New("orders", "o-1", 3, time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("east", 3600)),
		events.OrderParked{OrderID: "o-1", Step: "capture", Reason: "x"})
	require.NoError(t, err)
	encoded, err := json.Marshal(event)
	require.NoError(t, err)
	var decoded events.Event
	require.NoError(t, json.Unmarshal(encoded, &decoded))
	payload, err := events.As[events.OrderParked](decoded)
	require.NoError(t, err)
	require.Equal(t, events.OrderParked{OrderID: "o-1", Step: "capture", Reason: "x"}, payload)
	_, err = events.As[events.OrderResumed](decoded)
	require.ErrorContains(t, err, "is a order.parked.v1, not a order.resumed.v1")
}

func TestAnEventWithoutWhatOrderNeedsIsRefused(t *testing.T) {
	t.Parallel()
	for want, body := range map[string]string{
		"no subject":          `{"specversion":"1.0","id":"1","source":"s","type":"t","sequence":"1"}`,
		"no usable sequence":  `{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"o"}`,
		`no usable sequence:`: `{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"o","sequence":"0"}`,
		"specversion":         `{"id":"1","source":"s","type":"t","subject":"o","sequence":"1"}`,
	} {
		var event events.Event
		require.ErrorContains(t, json.Unmarshal([]byte(body), &event), want)
	}
}

func TestEveryKindOfCurrencyIsKnown(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{"EUR": 2, "JPY": 0, "KWD": 3} {
		digits, ok := events.CurrencyDigits(code)
		require.True(t, ok)
		require.Equal(t, want, digits)
	}
	_, ok := events.CurrencyDigits("XXX")
	require.False(t, ok)
}

func TestTheEventInTheDocumentIsOne(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/events.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(document), "```json\n")
	require.True(t, found)
	written, _, _ := strings.Cut(rest, "```")
	var event events.Event
	require.NoError(t, json.Unmarshal([]byte(written), &event))
	completed, err := events.As[events.OrderCompleted](event)
	require.NoError(t, err)
	encoded, err := json.Marshal(event)
	require.NoError(t, err)
	require.JSONEq(t, written, string(encoded))
	require.Equal(t, "o-1", completed.OrderID)
}

func TestTheCatalogueOfTheDocumentIsComplete(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/events.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(document), "\n## The catalogue\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n## ")
	var want, have []string
	for _, payload := range events.Catalogue() {
		want = append(want, payload.EventType())
	}
	for line := range strings.Lines(table) {
		if row, is := strings.CutPrefix(line, "| `"); is {
			name, _, _ := strings.Cut(row, "`")
			have = append(have, name)
		}
	}
	require.Equal(t, want, have)
}

type schema struct {
	ID         string             `json:"$id"`
	Type       string             `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
}

func TestEveryTypeHasTheSchemaOfItsGoType(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("asyncapi.yaml")
	require.NoError(t, err)
	var want []string
	for _, payload := range events.Catalogue() {
		name := payload.EventType() + ".json"
		want = append(want, name)
		content, err := os.ReadFile(filepath.Join("schemas", name))
		require.NoError(t, err)
		var s schema
		require.NoError(t, json.Unmarshal(content, &s))
		require.Equal(t, "https://orderly.example.com/schemas/"+name, s.ID)
		same(t, reflect.TypeOf(payload), &s, payload.EventType())

		for _, line := range []string{
			"    address: " + payload.EventType(), "      name: " + payload.EventType(), "$ref: schemas/" + name,
		} {
			require.Contains(t, string(document), line+"\n", "asyncapi.yaml lacks %s", payload.EventType())
		}
	}
	files, err := os.ReadDir("schemas")
	require.NoError(t, err)
	var have []string
	for _, file := range files {
		have = append(have, file.Name())
	}
	require.ElementsMatch(t, want, have, "a schema without a type, or the other way round")
	require.Equal(t, len(want), strings.Count(string(document), "$ref: schemas/"))
}

// same compares a schema with the Go type behind it, so that neither changes alone.
func same(t *testing.T, of reflect.Type, s *schema, at string) {
	t.Helper()
	require.NotNil(t, s, at)
	switch of.Kind() {
	case reflect.String:
		require.Equal(t, "string", s.Type, at)
	case reflect.Int64:
		require.Equal(t, "integer", s.Type, at)
	case reflect.Slice:
		require.Equal(t, "array", s.Type, at)
		same(t, of.Elem(), s.Items, at+"[]")
	case reflect.Struct:
		require.Equal(t, "object", s.Type, at)
		var required []string
		for i := range of.NumField() {
			name, option, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if option != "omitempty" {
				required = append(required, name)
			}
			same(t, of.Field(i).Type, s.Properties[name], at+"."+name)
		}
		require.Len(t, s.Properties, of.NumField(), at)
		require.ElementsMatch(t, required, s.Required, at)
	default:
		t.Fatalf("%s is a %s: say here how a schema writes that", at, of.Kind())
	}
}
