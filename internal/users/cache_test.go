package users_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/users"
)

// patience is far more than anything here takes, and less than what a caller would call hanging.
const patience = 4 * time.Second

func rename(t *testing.T, p process, id, name string) users.Profile {
	t.Helper()
	profile, err := p.UpdateProfile(t.Context(), id, users.Change{Name: &name})
	require.NoError(t, err)
	return profile
}

func (p process) mustRead(t *testing.T, id string) users.Profile {
	t.Helper()
	profile, err := p.Profile(t.Context(), id)
	require.NoError(t, err)
	return profile
}

func TestTheSecondReadOfAProfileMakesNoSQL(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ada := b.register(t, "ada@example.com")
		one, other := b.process(t, s), b.process(t, s)
		require.Equal(t, ada, one.mustRead(t, ada.ID))
		b.withoutSQL(t, func() {
			require.Equal(t, ada, one.mustRead(t, ada.ID))
			require.Equal(t, ada, other.mustRead(t, ada.ID))
		})

		changed := rename(t, one, ada.ID, "Countess")
		require.Equal(t, changed, other.mustRead(t, ada.ID), "a change is seen by every process at once")
		b.withoutSQL(t, func() { require.Equal(t, changed, one.mustRead(t, ada.ID)) })

		require.NoError(t, other.Delete(t.Context(), ada.ID))
		_, err := one.Profile(t.Context(), ada.ID)
		requireFault(t, err, fault.NotFound, "user_not_found")
		b.withoutSQL(t, func() {
			_, err := one.Profile(t.Context(), ada.ID)
			requireFault(t, err, fault.NotFound, "user_not_found")
		})
	})
}

func TestAProfileLivesAnHourGiveOrTakeATenth(t *testing.T) {
	t.Parallel()
	b, s := onSQLite(t), miniRedis(t)
	p := b.process(t, s)
	different := map[time.Duration]bool{}
	for i := range 10 {
		ada := b.register(t, fmt.Sprintf("ada%d@example.com", i))
		p.mustRead(t, ada.ID)
		ttl := s.mini.TTL(s.prefix + "profile:" + ada.ID)
		require.InDelta(t, time.Hour, ttl, float64(6*time.Minute))
		different[ttl] = true
	}
	require.Greater(t, len(different), 5, "profiles cached together must not expire together")
}

// answers is everything that is read through the caches, as one comparable value.
func answers(t *testing.T, c *users.Cache, ids, tokens []string) (all []string) {
	t.Helper()
	for _, id := range ids {
		began := time.Now()
		profile, err := c.Profile(t.Context(), id)
		all = append(all, fmt.Sprint(profile, fault.CodeOf(err)))
		require.Less(t, time.Since(began), patience)
	}
	for _, token := range tokens {
		began := time.Now()
		session, err := c.Authenticate(t.Context(), token)
		all = append(all, fmt.Sprint(session, fault.CodeOf(err)))
		require.Less(t, time.Since(began), patience)
	}
	return all
}

func TestTheAnswersAreTheSameWithoutRedis(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, p := t.Context(), b.process(t, s)
		ada, gone := b.register(t, "ada@example.com"), b.register(t, "gone@example.com")
		token, _, err := p.Login(ctx, "ada@example.com", password, "")
		require.NoError(t, err)
		out, _, err := p.IssueSession(ctx, ada.ID)
		require.NoError(t, err)
		require.NoError(t, p.Logout(ctx, out))
		require.NoError(t, p.Delete(ctx, gone.ID))
		ids, tokens := []string{ada.ID, gone.ID, uuid.NewString()}, []string{token, out, "nonsense"}

		want := answers(t, p.Cache, ids, tokens)
		require.Equal(t, want, answers(t, p.Cache, ids, tokens), "cached")
		p.door.shut()
		for range 4 {
			require.Equal(t, want, answers(t, p.Cache, ids, tokens), "refused")
		}
		writing := time.Now()
		ada = rename(t, p, ada.ID, "Countess")
		require.NoError(t, p.RevokeAll(ctx, gone.ID))
		require.Less(t, time.Since(writing), patience)
		require.Equal(t, ada, p.mustRead(t, ada.ID), "a process reads its own writes")

		quiet := b.process(t, s)
		want = answers(t, users.NewCache(nil, b.service, users.CacheOptions{}), ids, tokens)
		quiet.door.silence()
		for range 4 {
			require.Equal(t, want, answers(t, quiet.Cache, ids, tokens), "never answered")
		}
		p.door.open(t)
		require.Eventually(t, func() bool {
			before := b.db.Statements()
			require.Equal(t, want, answers(t, p.Cache, ids, tokens), "back again")
			return b.db.Statements() == before
		}, 30*time.Second, 20*time.Millisecond, "the cache did not come back")
	})
}

func TestASlowReaderCannotBringBackAnOldProfile(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, p process, id string){
		"changed": func(t *testing.T, p process, id string) { rename(t, p, id, "Countess") },
		"changed and read": func(t *testing.T, p process, id string) {
			rename(t, p, id, "Countess")
			p.mustRead(t, id)
		},
		"deleted": func(t *testing.T, p process, id string) { require.NoError(t, p.Delete(t.Context(), id)) },
		"deleted and read": func(t *testing.T, p process, id string) {
			require.NoError(t, p.Delete(t.Context(), id))
			_, err := p.Profile(t.Context(), id)
			requireFault(t, err, fault.NotFound, "user_not_found")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachRedis(t, func(t *testing.T, s server) {
				b := onSQLite(t)
				ctx, ada := t.Context(), b.register(t, "ada@example.com")
				slow, quick := b.process(t, s), b.process(t, s)
				write := holdBack(slow.rdb, writes("profile:"+ada.ID))
				read := make(chan users.Profile, 1)
				go func() {
					profile, _ := slow.Profile(ctx, ada.ID)
					read <- profile
				}()
				<-write.reached // it has loaded version 1 and is about to write it
				change(t, quick, ada.ID)
				write.release()
				require.Equal(t, ada, <-read)

				want, wantErr := b.service.Profile(ctx, ada.ID)
				for range 2 {
					got, err := quick.Profile(ctx, ada.ID)
					require.Equal(t, want, got)
					require.Equal(t, fault.CodeOf(wantErr), fault.CodeOf(err))
				}
			})
		})
	}
}

func TestAProcessReadsItsOwnWriteThoughALookUpIsStillUnderWay(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada, p := t.Context(), b.register(t, "ada@example.com"), b.process(t, s)
		write := holdBack(p.rdb, writes("profile:"+ada.ID))
		defer write.release()
		go func() { _, _ = p.Profile(ctx, ada.ID) }()
		<-write.reached // the look-up has version 1
		changed := rename(t, p, ada.ID, "Countess")
		read := make(chan users.Profile, 1)
		write.passNext()
		go func() {
			profile, _ := p.Profile(ctx, ada.ID)
			read <- profile
		}()
		select {
		case got := <-read:
			require.Equal(t, changed, got)
		case <-time.After(patience):
			require.Fail(t, "the read waited for the old look-up")
		}
	})
}

func TestAStampedeMakesOneLoad(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada, p := t.Context(), b.register(t, "ada@example.com"), b.process(t, s)
		get := holdBack(p.rdb, reads("profile:"+ada.ID))
		before := b.db.Statements()
		var started, done sync.WaitGroup
		got := make([]users.Profile, 50)
		for i := range got {
			started.Add(1)
			done.Go(func() {
				started.Done()
				got[i], _ = p.Profile(ctx, ada.ID)
			})
		}
		started.Wait()
		<-get.reached
		get.release()
		done.Wait()
		for _, profile := range got {
			require.Equal(t, ada, profile)
		}
		require.Equal(t, before+1, b.db.Statements())
	})
}

func TestACallerWhoLeavesFailsNobodyElse(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ada, p := b.register(t, "ada@example.com"), b.process(t, s)
		get := holdBack(p.rdb, reads("profile:"+ada.ID))
		ctx, leave := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			_, err := p.Profile(ctx, ada.ID)
			first <- err
		}()
		<-get.reached
		var started, done sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			started.Add(1)
			done.Go(func() {
				started.Done()
				_, errs[i] = p.Profile(t.Context(), ada.ID)
			})
		}
		started.Wait()
		leave()
		require.ErrorIs(t, <-first, context.Canceled)
		late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := p.Profile(late, ada.ID)
		requireFault(t, err, fault.Unavailable, "timeout")
		get.release()
		done.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
	})
}

func TestAnUnknownCustomerIsRememberedShortlyAndReplacedByTheRealOne(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, p := t.Context(), b.process(t, s)
		id := uuid.NewString()
		unknown := func() {
			_, err := p.Profile(ctx, id)
			requireFault(t, err, fault.NotFound, "user_not_found")
		}
		unknown()
		b.withoutSQL(t, unknown)
		if s.mini != nil {
			s.mini.FastForward(10 * time.Second)
			before := b.db.Statements()
			unknown()
			require.Equal(t, before+1, b.db.Statements(), "asked again after 10 s")
		}

		b.service.SetNextID(id)
		ada, err := p.Register(ctx, users.Registration{Email: "ada@example.com", Name: "Ada", Password: password})
		require.NoError(t, err)
		require.Equal(t, id, ada.ID)
		require.Equal(t, ada, p.mustRead(t, id))

		// And one who looked before the registration and answers after it.
		id = uuid.NewString()
		slow := b.process(t, s)
		write := holdBack(slow.rdb, writes("profile:"+id))
		looked := make(chan error, 1)
		go func() {
			_, err := slow.Profile(ctx, id)
			looked <- err
		}()
		<-write.reached
		b.service.SetNextID(id)
		bob, err := p.EnsureCustomer(ctx, "bob@example.com", "Bob")
		require.NoError(t, err)
		write.release()
		requireFault(t, <-looked, fault.NotFound, "user_not_found")
		require.Equal(t, bob, p.mustRead(t, id))
	})
}

func TestALostInvalidationIsMadeUpFor(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ada, bob := b.register(t, "ada@example.com"), b.register(t, "bob@example.com")
		writer, reader := b.process(t, s), b.process(t, s)
		require.Equal(t, ada, reader.mustRead(t, ada.ID))
		require.Equal(t, bob, reader.mustRead(t, bob.ID))

		// Only tombstones are lost: nothing but the writer's own memory tells it not to believe what it reads.
		lost := refuse(writer.rdb, tombstones)
		changed := rename(t, writer, ada.ID, "Countess")
		require.NoError(t, writer.Delete(t.Context(), bob.ID))
		require.Equal(t, ada, reader.mustRead(t, ada.ID), "this process could not be told yet")
		require.Equal(t, changed, writer.mustRead(t, ada.ID))
		_, err := writer.Profile(t.Context(), bob.ID)
		requireFault(t, err, fault.NotFound, "user_not_found")
		lost.Store(false)
		require.Eventually(t, func() bool {
			_, err := reader.Profile(t.Context(), bob.ID)
			return reader.mustRead(t, ada.ID) == changed && fault.KindOf(err) == fault.NotFound
		}, 30*time.Second, 20*time.Millisecond)
		require.Eventually(t, func() bool {
			before := b.db.Statements()
			require.Equal(t, changed, writer.mustRead(t, ada.ID))
			return b.db.Statements() == before
		}, 30*time.Second, 20*time.Millisecond, "the writer never trusted the cache again")
	})
}

func TestWithTooManyLostInvalidationsTheCacheIsNotBelieved(t *testing.T) {
	t.Parallel()
	b, s := onSQLite(t), miniRedis(t)
	ada, writer := b.register(t, "ada@example.com"), b.process(t, s)
	require.Equal(t, ada, writer.mustRead(t, ada.ID))
	writer.door.shut()
	for range 4096 {
		require.NoError(t, writer.Invalidate(t.Context(), uuid.NewString()))
	}
	changed := rename(t, writer, ada.ID, "Countess")
	writer.door.open(t)
	known := s.mini.DB(0)
	require.Eventually(t, func() bool { return len(known.Keys()) == 1+4096 }, time.Minute, 20*time.Millisecond)
	require.Equal(t, changed, writer.mustRead(t, ada.ID))
	b.clock.move(2 * time.Hour) // what was cached before has expired by now
	s.mini.FastForward(2 * time.Hour)
	require.Equal(t, changed, writer.mustRead(t, ada.ID))
	b.withoutSQL(t, func() { require.Equal(t, changed, writer.mustRead(t, ada.ID)) })
}

// The author of a change may die between its commit and its word to Redis.
func TestWhoHearsOfAChangeCanInvalidateForItsAuthor(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada, p := t.Context(), b.register(t, "ada@example.com"), b.process(t, s)
		require.Equal(t, ada, p.mustRead(t, ada.ID))
		name := "Countess"
		changed, err := b.service.UpdateProfile(ctx, ada.ID, users.Change{Name: &name})
		require.NoError(t, err)
		require.NoError(t, p.Invalidate(ctx, ada.ID))
		require.Equal(t, changed, p.mustRead(t, ada.ID))
		require.NoError(t, p.Invalidate(ctx, ada.ID))
		b.withoutSQL(t, func() { require.Equal(t, changed, p.mustRead(t, ada.ID), "what is current stays") })

		require.NoError(t, b.service.Delete(ctx, ada.ID))
		require.NoError(t, p.Invalidate(ctx, ada.ID))
		_, err = p.Profile(ctx, ada.ID)
		requireFault(t, err, fault.NotFound, "user_not_found")
	})
}

func TestEntriesOfAnotherReleaseAreReadAnew(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada, p := t.Context(), b.register(t, "ada@example.com"), b.process(t, s)
		token, session, err := p.IssueSession(ctx, ada.ID)
		require.NoError(t, err)
		ask := func() {
			require.Equal(t, ada, p.mustRead(t, ada.ID))
			found, err := p.Authenticate(ctx, token)
			require.NoError(t, err)
			require.Equal(t, session, found)
		}
		ask()
		keys := p.rdb.Keys(ctx, s.prefix+"*").Val()
		require.Len(t, keys, 2)
		for _, key := range keys {
			require.NoError(t, p.rdb.HSet(ctx, key, "payload", `9{"ID":"another","UserID":"another"}`).Err())
		}
		ask()
		b.withoutSQL(t, ask)
	})
}

func TestNoSecretIsCached(t *testing.T) {
	t.Parallel()
	b, s := onSQLite(t), miniRedis(t)
	p := b.process(t, s)
	ada := b.register(t, "ada@example.com")
	token, _, err := p.Login(t.Context(), "ada@example.com", password, "")
	require.NoError(t, err)
	_, err = p.Authenticate(t.Context(), token)
	require.NoError(t, err)
	p.mustRead(t, ada.ID)
	dump := s.mini.Dump()
	require.Contains(t, dump, ada.ID)
	require.NotContains(t, dump, "argon2")
	require.NotContains(t, dump, token)
}

func TestReadsAreCountedByHowTheyWereAnswered(t *testing.T) {
	t.Parallel()
	b, s := onSQLite(t), miniRedis(t)
	ctx, p, reg := t.Context(), b.process(t, s), prometheus.NewPedanticRegistry()
	c := users.NewCache(p.rdb, b.service, users.CacheOptions{Prefix: s.prefix, Metrics: users.NewMetrics(reg)})
	t.Cleanup(c.Close)
	ada := b.register(t, "ada@example.com")
	token, _, err := c.IssueSession(ctx, ada.ID)
	require.NoError(t, err)
	out, _, err := c.IssueSession(ctx, ada.ID)
	require.NoError(t, err)
	require.NoError(t, c.Logout(ctx, out))
	unknown := uuid.NewString()
	ids, tokens := []string{ada.ID, ada.ID, unknown, unknown}, []string{token, token, out}
	answers(t, c, ids, tokens)
	p.door.shut()
	answers(t, c, ids, tokens)

	n, err := testutil.GatherAndCount(reg, "orderly_cache_requests_total")
	require.NoError(t, err)
	require.Equal(t, 8, n)
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
	}
	require.Equal(t, map[string]float64{
		"profile hit": 1, "profile miss": 2, "profile negative": 1, "profile bypass": 4,
		"session hit": 1, "session miss": 1, "session negative": 1, "session bypass": 3,
	}, got)
}

func TestAnUnreadableRedisURLIsNotQuoted(t *testing.T) {
	t.Parallel()
	_, err := users.NewRedis("redis://user:hunter2@host:port")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}
