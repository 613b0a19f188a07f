package workflows_test

import (
	"path/filepath"
	"testing"

	"example.com/orderly/internal/testenv"
	"example.com/orderly/workflows"
)

// What a saga is started with and what it returns are read by workers and clients of other versions.
func TestPayloadsOnlyGainOptionalFields(t *testing.T) {
	t.Parallel()
	for name, sample := range map[string]any{"Order": workflows.OrderInput{}, "Order.result": workflows.OrderResult{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.RequirePayload(t, filepath.Join("testdata", "payloads", name+".jsonl"), sample)
		})
	}
}
