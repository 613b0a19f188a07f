package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/system"
)

// file opens the service's database in the world's folder.
func (w *world) file(service string) *database.DB {
	w.t.Helper()
	db, err := database.Open(w.t.Context(), service, "sqlite:"+filepath.Join(w.data, service+".db"))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = db.Close() })
	return db
}

// systemOf is the system that a database belongs to.
func systemOf(t *testing.T, db *database.DB) string {
	t.Helper()
	id, err := system.IDOf(t.Context(), db)
	require.NoError(t, err)
	return string(id)
}

// serving is the world with a payment provider outside, without which nothing is served.
func (w *world) serving() *world { return w.with("STRIPE_API_URL=http://" + w.book) }

// with is the world with more variables.
func (w *world) with(set ...string) *world {
	own := *w
	own.env = append(append([]string{}, w.env...), set...)
	return &own
}

// migrated is a world whose databases belong to a system.
func migrated(t *testing.T, set ...string) (w *world, id string) {
	t.Helper()
	w = newWorld(t)
	w.env = append(w.env, append(set, "ORDERLY_DATA="+w.data, "ORDERLY_PRODUCTS=demo")...)
	said, code := w.command("migrate")
	require.Zero(t, code, said)
	return w, systemOf(t, w.file("orders"))
}

func TestADatabaseOfAnotherSystemIsRefused(t *testing.T) {
	t.Parallel()
	ours, id := migrated(t)
	theirs, other := migrated(t)
	require.NotEqual(t, id, other)
	for _, service := range node.ServiceNames() {
		require.Equal(t, id, systemOf(t, ours.file(service)), service)
	}
	ours.env = append(ours.env, "PAYMENTS_DATABASE_URL=sqlite:"+filepath.Join(theirs.data, "payments.db"))
	for _, args := range [][]string{{"migrate"}, {"serve", "all"}, {"dev", "--data", ours.data}} {
		ours.serving().requireRefusal(args, "system "+other+": payments (PAYMENTS_DATABASE_URL)", "system "+id+": orders (DATABASE_URL)", "name those of one system")
	}
	require.Equal(t, other, systemOf(t, theirs.file("payments")))
}

// Databases of a release before that of the ids: they are told to be older, get one id at the next migrate, and keep what is in them.
func TestDatabasesFromBeforeGetAnIDWhenTheyAreMigrated(t *testing.T) {
	t.Parallel()
	w, _ := migrated(t)
	prices := func() (rows []string) {
		require.NoError(t, w.file("orders").Select(t.Context(), &rows, `SELECT sku || name || price_minor || currency FROM prices ORDER BY sku`))
		return rows
	}
	before := prices()
	require.NotEmpty(t, before)
	for _, service := range node.ServiceNames() {
		for _, table := range []string{"system_id", "schema_system"} {
			_, err := w.file(service).Exec(t.Context(), `DROP TABLE `+table)
			require.NoError(t, err)
		}
	}
	w.serving().requireRefusal([]string{"serve", "all"}, "older schema", "orderly migrate")
	said, code := w.command("migrate")
	require.Zero(t, code, said)
	id := systemOf(t, w.file("orders"))
	require.NotEmpty(t, id)
	for _, service := range node.ServiceNames() {
		require.Equal(t, id, systemOf(t, w.file(service)), service)
	}
	require.Equal(t, before, prices())
}
