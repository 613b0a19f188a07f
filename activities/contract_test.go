package activities_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/internal/testenv"
)

// A worker of one version must read what one of another has written: in the histories of sagas in flight, and beside each other while
// processes are replaced. The golden files of the first calls were made from what the first binary wrote.
func TestPayloadsOnlyGainOptionalFields(t *testing.T) {
	t.Parallel()
	payloads := activities.Payloads()
	for name, sample := range payloads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.RequirePayload(t, filepath.Join("testdata", "payloads", name+".jsonl"), sample)
		})
	}
	files, err := filepath.Glob("testdata/payloads/*.jsonl")
	require.NoError(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		require.Contains(t, payloads, name, "histories ask for the activity %s, which is not there any more", name)
	}
}

// What is in the recorded histories is read, and would be written again, without a loss.
func TestRecordedPayloadsAreReadWithoutALoss(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../workflows/testdata/histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	payloads, read := activities.Payloads(), 0
	for _, file := range files {
		body, err := os.Open(file)
		require.NoError(t, err)
		past, err := client.HistoryFromJSON(body, client.HistoryJSONOptions{})
		require.NoError(t, errors.Join(err, body.Close()))
		for _, event := range past.GetEvents() {
			scheduled := event.GetActivityTaskScheduledEventAttributes()
			for _, payload := range scheduled.GetInput().GetPayloads() {
				value := reflect.New(reflect.TypeOf(payloads[scheduled.GetActivityType().GetName()]))
				require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, value.Interface()))
				again, err := converter.GetDefaultDataConverter().ToPayload(value.Elem().Interface())
				require.NoError(t, err)
				require.JSONEq(t, string(payload.GetData()), string(again.GetData()), file)
				read++
			}
		}
	}
	require.NotZero(t, read)
}

// recorder is a worker's registry that does nothing.
type recorder struct{ worker.Registry }

func (recorder) RegisterActivityWithOptions(any, activity.RegisterOptions) {}

// A worker that polls a queue and lacks one of its activities would fail each attempt at it, so it must not start.
func TestAQueueThatLacksAnActivityIsRefused(t *testing.T) {
	t.Parallel()
	for _, queue := range activities.Queues() {
		t.Run(queue, func(t *testing.T) {
			t.Parallel()
			none, all := activities.NewRegistry(recorder{}), activities.NewRegistry(recorder{})
			require.ErrorContains(t, none.Complete(queue), "task queue "+queue+" lacks the activity ")
			activities.RegisterElsewhere(all, queue)
			require.NoError(t, all.Complete(queue))
			require.ErrorContains(t, all.Complete(activities.InlineQueue), "lacks the activity ", "an inline saga asks for all of them in one place")
		})
	}
	all := activities.NewRegistry(recorder{})
	for _, queue := range activities.Queues() {
		activities.RegisterElsewhere(all, queue)
	}
	require.NoError(t, all.Complete(activities.InlineQueue))
}
