package main

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/money"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

// The processes are started once migrate has succeeded.
func TestMigrateThatIsInterruptedHasFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = append(w.env, "DATABASE_URL=postgres://h@127.0.0.1:"+freePorts(t, 1)[0]+"/orderly")
	p := w.launch("migrate")
	eventually(t, time.Minute, "it does not wait", func() bool { return strings.Contains(p.printed(), "Waiting for the orders database") })
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.wait(time.Minute)
	require.Equal(t, 1, p.cmd.ProcessState.ExitCode(), p.printed())
	require.Contains(t, p.printed(), "run orderly migrate again")
}

// Kubernetes tells each pod about a Service orderly-temporal by a variable that is also a setting of ours.
func TestServiceLinksOfKubernetesAreNotSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = append(w.env, "ORDERLY_DATA="+w.data, "ORDERLY_TEMPORAL_SERVICE_HOST=10.96.0.1", "ORDERLY_TEMPORAL_SERVICE_PORT=7233",
		"ORDERLY_TEMPORAL_PORT=tcp://10.96.0.1:7233", "ORDERLY_TEMPORAL_PORT_7233_TCP=tcp://10.96.0.1:7233",
		"ORDERLY_TEMPORAL_PORT_7233_TCP_ADDR=10.96.0.1")
	said, code := w.command("migrate")
	require.Zero(t, code, said)
	require.Equal(t, 1, strings.Count(said, "ORDERLY_TEMPORAL_PORT=tcp://10.96.0.1:7233 is not used"), said)
}

// migrateAtOnce migrates from four processes that start at the same moment, and calls done as soon as the first of them has ended.
func (w *world) migrateAtOnce(done func()) {
	w.t.Helper()
	processes, ended := make([]*process, 4), make(chan bool, 4)
	for i := range processes {
		processes[i] = w.launch("migrate")
		go func() { <-processes[i].ended; ended <- true }()
	}
	<-ended
	done()
	for range processes[1:] {
		<-ended
	}
	for _, p := range processes {
		require.Zero(w.t, p.cmd.ProcessState.ExitCode(), p.printed())
	}
}

// Several processes migrate at once, on an empty server and a namespace that does not exist. When one of them has ended, a saga can be
// started: a server on PostgreSQL takes seconds to hear of a new attribute everywhere, which one that is embedded does not.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	server := newTemporalServer(t, parts).addr
	w := newWorld(t)
	w.env = append(append(w.env, parts.env()...), "ORDERLY_PRODUCTS=demo", "TEMPORAL_ADDRESS="+server, "TEMPORAL_NAMESPACE="+parts.prefix)
	in := workflows.InputFor(orders.Order{ID: "first", CustomerID: "c", Total: money.Money{Minor: 1, Currency: "EUR"}}, true, false, false)
	w.migrateAtOnce(func() {
		c, err := client.Dial(client.Options{HostPort: server, Namespace: parts.prefix, Logger: quiet()})
		require.NoError(t, err)
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a client tries again for as long as it may
		defer cancel()
		_, err = c.ExecuteWorkflow(ctx, in.StartOptions(), workflows.OrderWorkflow, in)
		require.NoError(t, err)
	})

	list, err := node.Products(config.Config{Products: "demo"})
	require.NoError(t, err)
	var received int64
	for _, p := range list {
		received += p.OnHand
	}
	var counted, entered, priced int64
	inventory, priceList := parts.open(t, "inventory"), parts.open(t, "orders")
	require.NoError(t, inventory.Get(t.Context(), &counted, `SELECT SUM(on_hand) FROM stock`))
	require.NoError(t, inventory.Get(t.Context(), &entered, `SELECT SUM(change) FROM stock_ledger`))
	require.NoError(t, priceList.Get(t.Context(), &priced, `SELECT COUNT(*) FROM prices`))
	require.Equal(t, []int64{received, received, int64(len(list))}, []int64{counted, entered, priced})
}

// Migrating again, from several processes at once and beside a running system, changes nothing and disturbs no process.
func TestMigrateBesideARunningSystem(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.startAll()
	s := d.customer()
	d.requireCompleted(s, d.place(s, "pm_card_visa").ID)
	priceList, stock := d.parts.open(t, "orders"), d.parts.open(t, "inventory")
	_, err := priceList.Exec(t.Context(), `UPDATE prices SET price_minor = 1234 WHERE sku = 'CAP-RED'`)
	require.NoError(t, err)
	state := func() (rows []string) {
		for query, db := range map[string]*database.DB{
			`SELECT 'price ' || sku || ' ' || price_minor || currency || name FROM prices`:                  priceList,
			`SELECT 'stock ' || sku || ' ' || on_hand || ' ' || reserved FROM stock`:                        stock,
			`SELECT 'entry ' || entry_key || ' ' || sku || kind || change || recorded_at FROM stock_ledger`: stock,
		} {
			var some []string
			require.NoError(t, db.Select(t.Context(), &some, query))
			rows = append(rows, some...)
		}
		return rows
	}
	before := state()
	require.Contains(t, before, "stock MUG-BLUE 1000000 2")
	d.migrateAtOnce(func() {})
	require.ElementsMatch(t, before, state())
	d.requireCompleted(s, d.place(s, "pm_card_visa").ID)
	d.stop(append(node.AllRoles().Names(), "sandbox")...)
}

// Where the databases are there, their logins need no right to any other; one that is made belongs to the login that uses it.
func TestMigrateWithLoginsOfTheirOwn(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	login := newLogin(t, parts, "_payments_login")
	t.Cleanup(func() { // before its owner
		require.NoError(t, database.DropPostgres(context.Background(), parts.server, parts.prefix+"_payments"))
	})
	own, err := url.Parse(parts.of("payments"))
	require.NoError(t, err)
	server := own.Host
	own.User = url.UserPassword(login, "s3cret")
	w := newWorld(t)
	w.env = append(append(w.env, parts.env()...), "PAYMENTS_DATABASE_URL="+own.String())
	said, code := w.command("migrate")
	require.Zero(t, code, said)
	var owner string
	require.NoError(t, parts.open(t, "payments").Get(t.Context(), &owner,
		`SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()`))
	require.Equal(t, login, owner)

	at, err := url.Parse(parts.database)
	require.NoError(t, err)
	at.Host, at.RawQuery = keepingOutOfPostgres(t, server), "sslmode=disable"
	own.Host, own.RawQuery = at.Host, at.RawQuery
	w.env = append(w.env, "DATABASE_URL="+at.String(), "PAYMENTS_DATABASE_URL="+own.String())
	said, code = w.command("migrate")
	require.Zero(t, code, said)
}

// keepingOutOfPostgres stands before a PostgreSQL server and refuses every login to the database that every server has.
func keepingOutOfPostgres(t *testing.T, target string) string {
	return standIn(t, func(conn net.Conn) {
		message, err := pgproto3.NewBackend(conn, conn).ReceiveStartupMessage()
		if err != nil {
			return
		}
		startup, ok := message.(*pgproto3.StartupMessage)
		if ok && startup.Parameters["database"] == "postgres" {
			refusal, _ := (&pgproto3.ErrorResponse{Severity: "FATAL", Code: "42501", Message: "permission denied"}).Encode(nil)
			_, _ = conn.Write(refusal)
			return
		}
		begin, err := message.Encode(nil)
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		_, _ = server.Write(begin)
		go func() {
			_, _ = io.Copy(conn, server)
			_ = conn.Close()
		}()
		_, _ = io.Copy(server, conn)
	})
}
