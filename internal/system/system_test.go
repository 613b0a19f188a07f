package system_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/system"
	"example.com/orderly/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, func() {}) }

func open(t *testing.T, fresh testenv.Open, services ...string) []system.Database {
	t.Helper()
	var all []system.Database
	for _, service := range services {
		all = append(all, system.Database{Service: service, Setting: "DATABASE_URL", DB: fresh(service, system.Migrations())})
	}
	return all
}

func TestTheDatabasesOfASystemBearOneID(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, fresh testenv.Open) {
		of := open(t, fresh, "orders", "payments", "users")
		_, err := system.Compare(t.Context(), of)
		require.ErrorContains(t, err, "run orderly migrate")

		id, err := system.Settle(t.Context(), of[1:], time.Now())
		require.NoError(t, err)
		require.Regexp(t, "^[a-z2-7]{16}$", id)
		_, err = system.Compare(t.Context(), of)
		require.ErrorContains(t, err, "the orders database")

		again, err := system.Settle(t.Context(), of, time.Now())
		require.NoError(t, err)
		require.Equal(t, id, again, "a database that is new takes the id of the others")
		compared, err := system.Compare(t.Context(), of)
		require.NoError(t, err)
		require.Equal(t, id, compared)
	})
}

// Several processes settle the same databases at one moment, each over connections of its own.
func TestOneIDComesOfManyWhoSettleAtOnce(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, fresh testenv.Open) {
		of := open(t, fresh, "orders", "payments", "users")
		var ids [8]system.ID
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i := range ids {
			own := reopen(t, of)
			all.Go(func() {
				<-begin
				id, err := system.Settle(t.Context(), own, time.Now())
				if err == nil {
					ids[i] = id
				}
			})
		}
		close(begin)
		all.Wait()
		settled, err := system.Compare(t.Context(), of)
		require.NoError(t, err)
		for _, id := range ids {
			require.Equal(t, settled, id)
		}
	})
}

func reopen(t *testing.T, of []system.Database) []system.Database {
	t.Helper()
	var all []system.Database
	for _, one := range of {
		db, err := database.Open(t.Context(), one.Service, testenv.URL(t, one.DB))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		all = append(all, system.Database{Service: one.Service, Setting: one.Setting, DB: db})
	}
	return all
}

// What is refused is left as it was: the database without an id gets none.
func TestDatabasesOfTwoSystemsAreRefused(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, fresh testenv.Open) {
		ours, theirs := open(t, fresh, "orders", "users"), open(t, fresh, "payments")
		id, err := system.Settle(t.Context(), ours[:1], time.Now())
		require.NoError(t, err)
		other, err := system.Settle(t.Context(), theirs, time.Now())
		require.NoError(t, err)
		require.NotEqual(t, id, other)

		mixed := append(ours, theirs...)
		for name, refused := range map[string]func() (system.ID, error){
			"settle":  func() (system.ID, error) { return system.Settle(t.Context(), mixed, time.Now()) },
			"compare": func() (system.ID, error) { return system.Compare(t.Context(), mixed) },
			"one":     func() (system.ID, error) { return "", theirs[0].Belongs(t.Context(), id) },
		} {
			_, err := refused()
			require.ErrorContains(t, err, "system "+string(other)+": payments (DATABASE_URL)", name)
			require.ErrorContains(t, err, "system "+string(id)+": ", name)
			require.ErrorContains(t, err, "name those of one system", name)
		}
		none, err := system.IDOf(t.Context(), ours[1].DB)
		require.NoError(t, err)
		require.Empty(t, none)
		require.NoError(t, ours[0].Belongs(t.Context(), id))
	})
}

func TestARefusalNamesBothSystemsAndTheRemedy(t *testing.T) {
	t.Parallel()
	refusal := &system.OtherError{Place: "the place (PLACE)", Bears: "theirs", Ours: "ours", Remedy: "set PLACE"}
	require.EqualError(t, refusal, "the place (PLACE) serves system theirs, and these databases belong to system ours: set PLACE; if theirs is no more "+
		"(its databases were lost or replaced), run orderly adopt")
	refusal.Bears = ""
	require.ErrorContains(t, refusal, "is taken by what is not Orderly")
	require.ErrorContains(t, refusal, "ours")
	require.ErrorContains(t, refusal, "set PLACE")
}
