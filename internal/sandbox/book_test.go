package sandbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheBookItselfRefusesImpossibleMoney writes past all code, as a defect would.
func TestTheBookItselfRefusesImpossibleMoney(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	insert := func(id, status string, authorized, captured, refunded, charges int) error {
		_, err := s.db.ExecContext(t.Context(), `
			INSERT INTO intents (id, account, order_id, metadata, status, amount, currency, method, authorized, captured, refunded, charges,
				created_at)
			VALUES (?, 'a', 'o', '{}', ?, 1000, 'eur', 'pm_card_visa', ?, ?, ?, ?, 0)`, id, status, authorized, captured, refunded, charges)
		return err
	}
	require.NoError(t, insert("pi_held", needsCapture, 1000, 0, 0, 1))
	require.NoError(t, insert("pi_taken", succeeded, 0, 1000, 400, 1))
	for name, err := range map[string]error{
		"captured above authorised":   insert("pi_1", succeeded, 0, 1001, 0, 1),
		"captured without a hold":     insert("pi_2", succeeded, 0, 1000, 0, 0),
		"refunded above captured":     insert("pi_3", succeeded, 0, 1000, 1001, 1),
		"authorised twice":            insert("pi_4", needsCapture, 1000, 0, 0, 2),
		"held by a finished intent":   insert("pi_5", succeeded, 500, 500, 0, 1),
		"held in no state to hold":    insert("pi_6", needsConfirm, 1000, 0, 0, 1),
		"captured in no state for it": insert("pi_7", needsCapture, 500, 500, 0, 1),
		"negative":                    insert("pi_8", succeeded, 0, -1, 0, 1),
		"unknown status":              insert("pi_9", "done", 0, 0, 0, 0),
	} {
		require.ErrorContains(t, err, "CHECK constraint failed", name)
	}
}

// TestTransitionsCompareBeforeTheySet moves an intent from a state it is no longer in.
func TestTransitionsCompareBeforeTheySet(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	tx, err := s.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	i := &intent{id: "pi_1", account: "a", status: needsConfirm, amount: 1000, currency: "eur", method: "pm_card_visa"}
	require.NoError(t, insertIntent(t.Context(), tx, i))
	i.status, i.authorized, i.charges = needsCapture, 1000, 1
	require.NoError(t, i.move(t.Context(), tx, needsConfirm, 0))
	i.status, i.authorized, i.canceledAt = canceled, 0, 1
	require.ErrorContains(t, i.move(t.Context(), tx, needsConfirm, 0), "no longer")
	require.ErrorContains(t, i.move(t.Context(), tx, needsCapture, 500), "no longer")
	require.NoError(t, i.move(t.Context(), tx, needsCapture, 0))
}
