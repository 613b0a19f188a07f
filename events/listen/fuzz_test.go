package listen

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
)

// Any body can be stored, comes back as it was, and is either read into fields that both engines take, or dead with a reason they take.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"orders/o/1","source":"orders","subject":"o","type":"order.resumed.v1","sequence":"000000000001","data":{}}`))
	f.Add([]byte(`{"specversion":"1.0","id":"\u0000","source":"orders","subject":"o","type":"order.resumed.v1","sequence":"1","data":[]}`))
	f.Add([]byte("\xff\x00"))
	f.Add([]byte(encodedPrefix + "AA=="))
	f.Add([]byte{})
	all := &registered{Listener: Listener{Subscription: Subscription{Types: []string{"order.resumed.v1", "fraud.scored.v1"}}}}
	f.Fuzz(func(t *testing.T, body []byte) {
		stored := storable(body)
		requireStorable(t, stored)
		require.Equal(t, string(body), string(raw(stored)))
		event, err := decode(body)
		if err != nil {
			reason := clean(err.Error())
			requireStorable(t, reason)
			require.LessOrEqual(t, utf8.RuneCountInString(reason), maxField)
			return
		}
		for _, field := range []string{event.ID, event.Source, event.Subject, event.Type} {
			requireStorable(t, field)
			require.NotEmpty(t, field)
			require.LessOrEqual(t, len(field), maxField)
		}
		require.Positive(t, event.Sequence)
		if err := checkPayload(all, event); err != nil {
			requireStorable(t, clean(err.Error()))
		} else if payloads[event.Type] == nil {
			require.Equal(t, "fraud.scored.v1", event.Type)
		} else if event.Type == (events.OrderResumed{}).EventType() {
			_, err := events.As[events.OrderResumed](event)
			require.NoError(t, err)
		}
		requireStorable(t, clean(orderID(row{Body: stored})))
	})
}

func requireStorable(t *testing.T, text string) {
	t.Helper()
	require.True(t, utf8.ValidString(text) && !strings.ContainsRune(text, 0), "%q", text)
}
