package events_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
)

// An event that is read has all that a listener keeps its order by, and is the same when it is written and read again.
func FuzzEvent(f *testing.F) {
	recorded, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, recorded)
	for _, path := range recorded {
		body, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(body)
	}
	f.Add([]byte(`{"specversion":"1.0","id":"a","source":"b","subject":"c","type":"d","sequence":"1"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"a","source":"b","subject":"c","type":"d","sequence":1,"data_base64":"e30="}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var event events.Event
		if err := json.Unmarshal(body, &event); err != nil || string(body) == "null" {
			return
		}
		require.NotEmpty(t, event.ID)
		require.NotEmpty(t, event.Source)
		require.NotEmpty(t, event.Subject)
		require.NotEmpty(t, event.Type)
		require.Positive(t, event.Sequence)
		written, err := json.Marshal(event)
		require.NoError(t, err)
		var again events.Event
		require.NoError(t, json.Unmarshal(written, &again), "%s", written)
		if event.Data != nil {
			require.JSONEq(t, string(event.Data), string(again.Data))
		}
		event.Data, again.Data = nil, nil
		require.Equal(t, event, again)
	})
}
