package inventory_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/step"
	"example.com/orderly/internal/testenv"
)

// skus sort one way by bytes (B, Z, a) and another by the rules of a language (a, B, Z).
var skus = []string{"a", "B", "Z"}

// sortLikePeople has PostgreSQL sort SKUs by a language's rules, as a database made with the usual locale does.
func sortLikePeople(t *testing.T, s store) {
	t.Helper()
	if s.db.Engine() != database.PostgreSQL {
		return
	}
	_, err := s.db.Exec(s.ctx, `ALTER TABLE reservations ALTER COLUMN sku TYPE TEXT COLLATE "en-x-icu"`)
	require.NoError(t, err)
}

// Fifty customers want overlapping parts of a small stock, every attempt may come twice, and every order may be given up before,
// while or after it is served.
func TestManyOrdersAtOnce(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		s := openStore(t, open, quantity{skus[0], 6}, quantity{skus[1], 6}, quantity{skus[2], 6})
		sortLikePeople(t, s)

		const customers, ordersEach = 50, 4
		type outcome struct {
			reservation inventory.Reservation
			reserved    []error
			given       bool
			released    []error
		}
		outcomes := make([][ordersEach]outcome, customers)
		work := make([]func(int), customers)
		for i := range work {
			work[i] = func(i int) {
				random := rand.New(rand.NewPCG(seed, uint64(i)))
				for n := range outcomes[i] {
					o := &outcomes[i][n]
					var lines []quantity
					for _, sku := range random.Perm(len(skus))[:1+random.IntN(len(skus))] {
						lines = append(lines, quantity{skus[sku], 1 + random.Int64N(2)})
					}
					o.reservation = s.reservation(lines...)
					reserve := func(int) error { return s.Reserve(s.ctx, o.reservation) }
					release := func(int) error { return s.Release(s.ctx, undo(o.reservation)) }
					o.given = random.IntN(4) > 0
					switch mode := random.IntN(3); {
					case !o.given:
						o.reserved = attempts(2, reserve)
					case mode == 0:
						o.released = attempts(1, release)
						o.reserved = attempts(1, reserve)
					case mode == 1:
						o.reserved = attempts(2, reserve)
						o.released = attempts(2, release)
					default:
						var both sync.WaitGroup
						both.Go(func() { o.reserved = attempts(2, reserve) })
						both.Go(func() { o.released = attempts(1, release) })
						both.Wait()
					}
				}
			}
		}

		watched, stop := context.WithCancel(s.ctx)
		var seen []account
		var looking error
		var watcher sync.WaitGroup
		watcher.Go(func() {
			for watched.Err() == nil {
				all, err := s.accounts(watched, "")
				if err != nil && watched.Err() == nil {
					looking = err
					return
				}
				seen = append(seen, all...)
			}
		})
		atOnce(work...)
		stop()
		watcher.Wait()
		require.NoError(t, looking)
		require.NotEmpty(t, seen)
		for _, a := range seen {
			requireProved(t, a)
		}

		held := map[string]int64{}
		yes, no, undone := 0, 0, 0
		for _, customer := range outcomes {
			for _, o := range customer {
				require.NoError(t, errors.Join(o.released...))
				for _, err := range o.reserved {
					switch fault.CodeOf(err) {
					case "":
						yes++
					case "out_of_stock":
						no++
					default:
						requireFault(t, err, fault.Conflict, step.CodeUndone)
						require.True(t, o.given, "an order that was not given up was undone")
						undone++
					}
				}
				if !o.given && o.reserved[0] == nil {
					for _, line := range o.reservation.Lines {
						held[line.SKU] += line.Quantity
					}
				}
			}
		}
		require.Equal(t, held, s.reserved(t))
		require.Positive(t, yes)
		require.Positive(t, no)
		require.Positive(t, undone)
		require.Zero(t, s.db.Retries(), "transactions locked rows in different orders")
	})
}

func attempts(n int, do func(int) error) []error {
	errs := make([]error, n)
	work := make([]func(int), n)
	for i := range work {
		work[i] = func(i int) { errs[i] = do(i) }
	}
	atOnce(work...)
	return errs
}
