package events_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
)

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
	ID          string             `json:"$id"`
	Description string             `json:"description"`
	Type        string             `json:"type"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	Items       *schema            `json:"items"`
}

func TestEveryTypeHasTheSchemaOfItsGoType(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("asyncapi.yaml")
	require.NoError(t, err)
	comments := typeComments(t)
	var want []string
	for _, payload := range events.Catalogue() {
		name := payload.EventType() + ".json"
		want = append(want, name)
		content, err := os.ReadFile(filepath.Join("schemas", name))
		require.NoError(t, err)
		var s schema
		require.NoError(t, json.Unmarshal(content, &s))
		require.Equal(t, "https://orderly.example.com/schemas/"+name, s.ID)
		require.Equal(t, comments[reflect.TypeOf(payload).Name()], s.Description, name)
		same(t, reflect.TypeOf(payload), &s, payload.EventType())

		for _, line := range []string{
			"    address: " + payload.EventType(), "      name: " + payload.EventType(), "$ref: schemas/" + name,
			"      summary: " + strconv.Quote(s.Description),
			"  publish" + reflect.TypeOf(payload).Name() + ":\n    action: send",
			"      - $ref: '#/channels/" + reflect.TypeOf(payload).Name() + "/messages/" + reflect.TypeOf(payload).Name() + "'",
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

// typeComments maps each type of this package to its comment, in one line.
func typeComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	comments := map[string]string{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			if types, is := declaration.(*ast.GenDecl); is && types.Tok == token.TYPE {
				comments[types.Specs[0].(*ast.TypeSpec).Name.Name] = strings.ReplaceAll(strings.TrimSpace(types.Doc.Text()), "\n", " ")
			}
		}
	}
	return comments
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
