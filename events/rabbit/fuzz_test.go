package rabbit

import (
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
)

// What is taken is to the one that reads it, and asks and answers only about ids that a database can be asked for.
func FuzzRollCall(f *testing.F) {
	f.Add([]byte(`{"source":"orders","listener":"journal","until":"2026-03-01T12:00:00Z","events":[{"id":"orders/o/1","type":"order.created.v1"}]}`))
	f.Add([]byte(`{"source":"orders","listener":"journal","until":"2026-03-01T12:00:00Z","unknown":["orders/o/1","\u0000"]}`))
	f.Add([]byte(`{"listener":"journal","until":"0001-01-01T00:00:00Z","events":null}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if call, err := decodeRollCall(body, "journal"); err == nil {
			require.Equal(t, "journal", call.Listener)
			require.NotEmpty(t, call.Source)
			require.False(t, call.Until.IsZero())
			for _, asked := range call.Events {
				require.False(t, strings.ContainsRune(asked.ID, 0))
			}
		}
		if answer, err := decodeAnswer(amqp.Delivery{ContentType: answerType, Body: body}, "orders"); err == nil {
			require.Equal(t, "orders", answer.Source)
			require.NotEmpty(t, answer.Listener)
			require.False(t, answer.Until.IsZero())
			for _, id := range answer.Unknown {
				require.False(t, strings.ContainsRune(id, 0))
			}
		}
	})
}
