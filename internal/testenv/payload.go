package testenv

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
)

var record = flag.Bool("record-payloads", false, "write the golden file of each payload that has none; one that is there stays")

// RequirePayload fails unless values of sample's type cross Temporal as the golden file says, so that workers of both versions read what
// either wrote. The file has two lines of JSON: a value with every field set, and the zero value. A type may gain optional fields only:
// ones that are left out when empty, and whose names are in lower case.
func RequirePayload(t *testing.T, file string, sample any) {
	t.Helper()
	kind := reflect.TypeOf(sample)
	golden, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && *record {
		full := reflect.New(kind).Elem()
		fill(t, full)
		golden = append(append(encode(t, full.Interface()), '\n'), append(encode(t, sample), '\n')...)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, golden, 0o600))
		err = nil
	}
	require.NoError(t, err, "a payload without a golden file: record it with -record-payloads")
	lines := bytes.Split(bytes.TrimSuffix(golden, []byte("\n")), []byte("\n"))
	require.Len(t, lines, 2, file)

	payload, err := converter.GetDefaultDataConverter().ToPayload(json.RawMessage(lines[0]))
	require.NoError(t, err)
	value := reflect.New(kind)
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, value.Interface()))
	require.JSONEq(t, string(lines[0]), string(encode(t, value.Elem().Interface())), "%s: what an older worker wrote is read with a loss", file)
	require.JSONEq(t, string(lines[1]), string(encode(t, sample)), "%s: an older worker would miss a field, or meet a new one that is not optional", file)
	requireOptional(t, kind, lines[0], lines[1])
}

// requireOptional checks the names of the fields that the golden file does not have.
func requireOptional(t *testing.T, kind reflect.Type, lines ...[]byte) {
	t.Helper()
	if kind.Kind() != reflect.Struct {
		return
	}
	known := map[string]json.RawMessage{}
	for _, line := range lines {
		require.NoError(t, json.Unmarshal(line, &known))
	}
	for field := range kind.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		require.NotEmpty(t, name, "%s.%s has no name in JSON", kind, field.Name)
		if _, there := known[name]; !there {
			require.Equal(t, "omitempty", options, "%s.%s is new, so it must be optional", kind, field.Name)
			require.Equal(t, strings.ToLower(name), name, "%s.%s is new, so its name must be in lower case", kind, field.Name)
		}
	}
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	return payload.GetData()
}

// fill sets every field to something.
func fill(t *testing.T, value reflect.Value) {
	t.Helper()
	if value.Type() == reflect.TypeFor[time.Time]() {
		value.Set(reflect.ValueOf(time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)))
		return
	}
	switch value.Kind() {
	case reflect.String:
		value.SetString("text")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int64:
		value.SetInt(7)
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 2, 2))
		for i := range value.Len() {
			fill(t, value.Index(i))
		}
	case reflect.Struct:
		for i := range value.NumField() {
			fill(t, value.Field(i))
		}
	default:
		t.Fatalf("a payload has a field of type %s, which nothing fills", value.Type())
	}
}
