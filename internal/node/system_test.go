package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/system"
	"example.com/orderly/internal/testenv"
)

// A database that was away at the start is asked whose it is when it comes.
func TestADatabaseThatComesLateIsAskedWhoseItIs(t *testing.T) {
	t.Parallel()
	migrations := append(journal.Migrations(), system.Migrations())
	late := &store{service: "journal", setting: "DATABASE_URL", migrations: migrations, db: testenv.SQLite(t, "journal", migrations...), late: true}
	theirs, err := system.Settle(t.Context(), []system.Database{late.named()}, time.Now())
	require.NoError(t, err)
	err = late.ping(false, "ours")(t.Context())
	require.ErrorContains(t, err, "system "+string(theirs)+": journal (DATABASE_URL)")
	require.ErrorContains(t, err, "system ours")
	require.NoError(t, late.ping(false, theirs)(t.Context()))
}
