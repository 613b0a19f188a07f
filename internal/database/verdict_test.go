package database_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
)

// everySQLState is the list of PostgreSQL's manual.
func everySQLState(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/sqlstates.txt")
	require.NoError(t, err)
	var codes []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			codes = append(codes, strings.Fields(line)[0])
		}
	}
	require.Greater(t, len(codes), 250)
	return codes
}

func requireWhole(t *testing.T, name string, line database.Line) {
	t.Helper()
	require.Contains(t, []string{"passes", "needs a person", "ours"}, line.Means, name)
	require.NotEmpty(t, line.Why, name)
	require.False(t, line.Again && line.Means != "passes", "%s is run again though that does not help", name)
}

func TestEverySQLStateHasAVerdict(t *testing.T) {
	t.Parallel()
	lines, used := database.SQLStates(), map[string]bool{}
	for _, code := range everySQLState(t) {
		line, known := lines[code[:2]]
		require.True(t, known, "class %s has no verdict", code[:2])
		requireWhole(t, code, line)
		used[code[:2]], used[code] = true, true
	}
	for code, line := range lines {
		require.True(t, used[code], "%s is in no list of PostgreSQL's", code)
		requireWhole(t, code, line)
		if len(code) == 5 {
			require.NotEqual(t, lines[code[:2]], line, "%s does not differ from its class", code)
		}
	}
}

func TestEveryResultCodeOfSQLiteHasAVerdict(t *testing.T) {
	t.Parallel()
	lines := database.ResultCodes()
	for code, name := range sqlite.ErrorCodeString {
		line, known := lines[code&0xff]
		require.True(t, known, name)
		requireWhole(t, name, line)
		if code < 0x100 {
			primary, _, _ := strings.Cut(line.Why, ":")
			require.Contains(t, name, "SQLITE_"+primary, "%d", code)
		}
	}
}

// What operations.md says is what the tables say.
func TestOperationsShowsTheTables(t *testing.T) {
	t.Parallel()
	codes := map[string][]string{}
	lines := database.SQLStates()
	for _, code := range slices.Sorted(maps.Keys(lines)) {
		if line := lines[code]; len(code) == 2 || line.Means != lines[code[:2]].Means {
			codes[line.Means] = append(codes[line.Means], code)
		}
	}
	names := map[string][]string{}
	results := database.ResultCodes()
	for _, code := range slices.Sorted(maps.Keys(results)) {
		name, _, _ := strings.Cut(results[code].Why, ":")
		names[results[code].Means] = append(names[results[code].Means], name)
	}
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	for _, means := range []string{"passes", "needs a person", "ours"} {
		row := fmt.Sprintf("| *%s* | %s | %s |", means, strings.Join(codes[means], " "), strings.Join(names[means], " "))
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/operations.md lacks this row: %s", row)
		}
	}
}

// A server that gave an SQLSTATE has been reached, however it was asked for TLS.
func TestWhatAServerSaysCountsBeforeWhatItSaysAboutTLS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code, says string
		kind       fault.Kind
	}{
		"the database is missing": {"3D000", "run orderly migrate", fault.Internal},
		"the password is wrong":   {"28P01", "check the user and the password", fault.Internal},
		"too many connections":    {"53300", "(53300)", fault.Unavailable},
		"it is starting":          {"57P03", "(57P03)", fault.Unavailable},
	} {
		for _, mode := range []string{"", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer", "?sslmode=require"} {
			t.Run(name+mode, func(t *testing.T) {
				t.Parallel()
				server := testenv.NewFailingPostgres(t, nil)
				server.RefuseLogins(c.code, "because")
				_, err := database.Open(t.Context(), "orders", server.URL()+mode)
				require.NotContains(t, err.Error(), "s3cret")
				if mode == "?sslmode=require" { // it never came to a login
					require.ErrorContains(t, err, "the server does not speak TLS: correct sslmode")
					require.Equal(t, fault.Internal, fault.KindOf(err))
					return
				}
				require.ErrorContains(t, err, "PostgreSQL says: because ("+c.code+")")
				require.ErrorContains(t, err, c.says)
				require.NotContains(t, err.Error(), "TLS")
				require.NotContains(t, err.Error(), "\n")
				require.Equal(t, c.kind, fault.KindOf(err))
				require.Equal(t, c.code == "3D000", errors.Is(err, database.ErrNoDatabase))
			})
		}
	}
}

// Of what several hosts, or several attempts at one, have said, what waiting mends counts first.
func TestOneAttemptThatMayPassIsWaitedFor(t *testing.T) {
	t.Parallel()
	starting, refusing := testenv.NewFailingPostgres(t, nil), testenv.NewFailingPostgres(t, nil)
	starting.RefuseLogins("57P03", "the database system is starting up")
	refusing.RefuseLogins("28000", "no pg_hba.conf entry")
	for _, hosts := range [][]*testenv.FailingPostgres{{starting, refusing}, {refusing, starting}} {
		_, err := database.Open(t.Context(), "orders", "postgres://app:s3cret@"+hosts[0].Addr()+","+hosts[1].Addr()+"/orderly")
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
	}
}

// A server that turns TLS away and then cuts the line is not one that lacks TLS.
func TestACutLineIsNotTakenForAServerWithoutTLS(t *testing.T) {
	t.Parallel()
	server := testenv.NewFailingPostgres(t, nil)
	server.CutLogins()
	_, err := database.Open(t.Context(), "orders", server.URL())
	require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
}

// The parameters of a URL are met before any statement of ours.
func TestAParameterThatTheServerRefusesNeedsAPerson(t *testing.T) {
	t.Parallel()
	server := testenv.NewFailingPostgres(t, nil)
	server.RefuseLogins("42704", `unrecognized configuration parameter "sslmod"`)
	_, err := database.Open(t.Context(), "orders", server.URL()+"?sslmod=disable")
	require.ErrorContains(t, err, "check the parameters of the URL")
	later, err := database.Later("orders", server.URL())
	require.NoError(t, err)
	defer func() { require.NoError(t, later.Close()) }()
	require.Equal(t, database.CodeNeedsOperator, fault.CodeOf(later.Ping(t.Context())))
}

// What tells the two meanings of 0A000 apart is the routine: the text is in the server's language.
func TestAPlanThatAMigrationMadeStaleIsMadeAnew(t *testing.T) {
	t.Parallel()
	db := testenv.SQLite(t, "notes", notes)
	runs := 0
	require.NoError(t, db.InTx(t.Context(), func(*database.Tx) error {
		if runs++; runs == 1 {
			return &pgconn.PgError{Code: "0A000", Routine: "RevalidateCachedQuery"}
		}
		return nil
	}))
	require.Equal(t, 2, runs)
	require.Equal(t, fault.Internal, fault.KindOf(db.InTx(t.Context(), func(*database.Tx) error {
		return &pgconn.PgError{Code: "0A000", Routine: "transformOnConflictArbiter"}
	})))
}

// At run time what needs a person is told where it is met, and nothing of it to a client.
func TestWhatNeedsAPersonSaysWhatToDo(t *testing.T) {
	t.Parallel()
	server := testenv.NewFailingPostgres(t, nil)
	server.RefuseStatements("42501", "permission denied for table orders")
	db, err := database.Later("orders", server.URL())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.Exec(t.Context(), `UPDATE orders SET state = ?`, "completed")
	f, ok := fault.As(err)
	require.True(t, ok)
	require.Equal(t, fault.Error{Kind: fault.Unavailable, Code: database.CodeNeedsOperator, Message: "the database needs an operator"}, *f)
	require.ErrorContains(t, err, "permission denied for table orders")
	require.ErrorContains(t, err, "grant the login that right")
	require.ErrorAs(t, db.Get(context.Background(), new(int), `SELECT 1`), new(*pgconn.PgError))
}
