package users_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/users"
)

// plant writes an entry as someone can who has Redis and no key.
func (p process) plant(t *testing.T, key string, version any, payload string) {
	t.Helper()
	require.NoError(t, p.rdb.HSet(t.Context(), key, "version", version, "payload", payload).Err())
}

// planted is what is under key.
func (p process) planted(t *testing.T, key string) string {
	t.Helper()
	payload, err := p.rdb.HGet(t.Context(), key, "payload").Result()
	require.NoError(t, err)
	return payload
}

func (p process) keys(t *testing.T, s server, kind string) []string {
	t.Helper()
	return p.rdb.Keys(t.Context(), s.prefix+kind+":*").Val()
}

// otherSystem is a cache on another database, whose entries have the same names as those of s.
func otherSystem(t *testing.T, s server) (bundle, process) {
	t.Helper()
	b := onSQLite(t)
	return b, b.process(t, s)
}

func TestAWriterToRedisBecomesNoCustomer(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, p := t.Context(), b.process(t, s)
		ada, mallory := b.register(t, "ada@example.com"), b.register(t, "mallory@example.com")
		invented := strings.Repeat("A", 43)
		sealed, forge := otherSystem(t, s)
		victim := users.Session{ID: "x", UserID: ada.ID, CreatedAt: b.clock.now(), ExpiresAt: b.clock.now().Add(time.Hour)}
		key, foreign := forge.Sealed(ctx, invented, victim, sealed.clock.now())

		own := b.session(t, mallory.ID)
		p.requireSession(t, own)
		copied := p.planted(t, p.keys(t, s, "session")[0])
		_, genuine := p.Sealed(ctx, invented, victim, b.clock.now())
		body := fmt.Sprintf(`{"UserID":%q,"CreatedAt":"2020-01-01T00:00:00Z","ExpiresAt":"2099-01-01T00:00:00Z","ReadAt":"2098-01-01T00:00:00Z"}`, ada.ID)
		for name, payload := range map[string]string{
			"as earlier releases wrote it": "\x01" + body,
			"without a seal":               "\x02" + body,
			"with an invented seal":        "\x02" + strings.Repeat("s", 32) + "\x00\x00\x00\x00\x00\x00\x00\x01" + body,
			"sealed by another system":     foreign,
			"a genuine one, copied":        copied,
			"a genuine one, changed":       strings.Replace(genuine, ada.ID, mallory.ID, 1),
			"cut off":                      genuine[:40],
			"nothing":                      "",
		} {
			for _, version := range []any{0, 1, 2, "9223372036854775807"} {
				p.plant(t, key, version, payload)
				_, err := p.Authenticate(ctx, invented)
				requireFault(t, err, fault.Unauthenticated, "no_session")
				require.Equal(t, "no_session", fault.CodeOf(err), name)
			}
		}

		// The same that bears our seal would be believed: what is refused above is refused for its seal.
		p.plant(t, key, 1, genuine)
		found, err := p.Authenticate(ctx, invented)
		require.NoError(t, err)
		require.Equal(t, ada.ID, found.UserID)
		_, future := p.Sealed(ctx, invented, victim, b.clock.now().Add(time.Microsecond))
		p.plant(t, key, 1, future)
		p.requireNone(t, invented)
	})
}

func TestAWriterToRedisLogsNoneOut(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		p, ada, mallory := b.process(t, s), b.register(t, "ada@example.com"), b.register(t, "mallory@example.com")
		out := b.session(t, mallory.ID)
		require.NoError(t, p.Logout(t.Context(), out))
		genuine := p.planted(t, p.keys(t, s, "session")[0])
		require.NotEmpty(t, genuine)
		p.requireNone(t, out)

		token := b.session(t, ada.ID)
		key, live := p.Sealed(t.Context(), token, users.Session{}, b.clock.now().Add(-time.Hour))
		for name, payload := range map[string]string{
			"a live one of its own, with the version of a revoked one": strings.Replace(live, "\x00\x00\x01{", "\x00\x00\x02{", 1),
			"as earlier releases wrote it":                             "", "copied from a session that has ended": genuine,
			"with an invented seal": "\x02" + strings.Repeat("s", 32) + "\x00\x00\x00\x00\x00\x00\x00\x02",
		} {
			for _, version := range []any{1, 2, 3, "9223372036854775807"} {
				p.plant(t, key, version, payload)
				for range 2 {
					_, err := p.Authenticate(t.Context(), token)
					require.NoError(t, err, "%s, version %v", name, version)
				}
			}
		}
		// And with all of it there, a log-out counts at once.
		require.NoError(t, p.Logout(t.Context(), token))
		p.requireNone(t, token)
	})
}

func TestAWriterToRedisChangesNoProfile(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		p, ada, mallory := b.process(t, s), b.register(t, "ada@example.com"), b.register(t, "mallory@example.com")
		p.mustRead(t, mallory.ID)
		copied := p.planted(t, p.keys(t, s, "profile")[0])
		p.mustRead(t, ada.ID)
		genuine := p.planted(t, s.prefix+"profile:"+ada.ID)
		for name, payload := range map[string]string{
			"as earlier releases wrote it": fmt.Sprintf("\x01"+`{"ID":%q,"Email":"mallory@example.com","Name":"Ada","Version":1}`, ada.ID),
			"gone, by earlier releases":    "\x01null",
			"another customer's":           copied,
			"with another address":         strings.Replace(genuine, "ada@example.com", "eve@example.com", 1),
			"with another version":         strings.Replace(genuine, "\x00\x00\x01{", "\x00\x00\x09{", 1),
		} {
			require.NotEqual(t, genuine, payload, name)
			for _, version := range []any{1, "9223372036854775807"} {
				p.plant(t, s.prefix+"profile:"+ada.ID, version, payload)
				require.Equal(t, ada, p.mustRead(t, ada.ID), name)
			}
		}
	})
}

// An old entry that is put back is believed as long as it would have been anyway, and no longer.
func TestAnEntryThatIsPutBackIsNotBelievedForLonger(t *testing.T) {
	t.Parallel()
	b, s := onSQLite(t), miniRedis(t)
	p, ada := b.process(t, s), b.register(t, "ada@example.com")
	token := b.session(t, ada.ID)
	p.requireSession(t, token)
	p.mustRead(t, ada.ID)
	session, profile := p.keys(t, s, "session")[0], p.keys(t, s, "profile")[0]
	oldSession, oldProfile := p.planted(t, session), p.planted(t, profile)
	require.NoError(t, p.Logout(t.Context(), token))
	changed := rename(t, p, ada.ID, "Countess")
	p.plant(t, session, 1, oldSession)
	p.plant(t, profile, 1, oldProfile)
	p.requireSession(t, token)
	b.clock.move(time.Minute)
	p.requireNone(t, token)
	b.clock.move(67 * time.Minute)
	require.Equal(t, changed, p.mustRead(t, ada.ID))
}

func TestEntriesThatDoNotOpenAreCounted(t *testing.T) {
	t.Parallel()
	b, s := onSQLite(t), miniRedis(t)
	p, reg := b.process(t, s), prometheus.NewPedanticRegistry()
	c := users.NewCache(p.rdb, b.service, users.CacheOptions{Prefix: s.prefix, Metrics: users.NewMetrics(reg)})
	t.Cleanup(c.Close)
	ada := b.register(t, "ada@example.com")
	token := b.session(t, ada.ID)
	key, _ := p.Sealed(t.Context(), token, users.Session{}, b.clock.now())
	p.plant(t, key, 9, "\x02"+strings.Repeat("s", 60))
	p.plant(t, s.prefix+"profile:"+ada.ID, 9, "\x02"+strings.Repeat("s", 60))
	answers(t, c, []string{ada.ID}, []string{token})
	p.plant(t, s.prefix+"profile:"+ada.ID, 9, "\x01null") // of another release
	answers(t, c, []string{ada.ID}, nil)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
		# HELP orderly_cache_unverified_total Entries of a cache that were not believed because no key opened their seal.
		# TYPE orderly_cache_unverified_total counter
		orderly_cache_unverified_total{cache="profile"} 1
		orderly_cache_unverified_total{cache="session"} 2
	`), "orderly_cache_unverified_total")) // the session's once more, when it was asked whether it was revoked meanwhile
}

// During an upgrade, processes of the release before write entries without a seal beside ours.
func TestAnEarlierReleaseBesideOurs(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, p, ada := t.Context(), b.process(t, s), b.register(t, "ada@example.com")
		token := b.session(t, ada.ID)
		p.requireSession(t, token)
		key := p.keys(t, s, "session")[0]
		// It takes only what begins with \x01 for an entry, and only what is empty for a revoked session. The rest it asks of the database.
		ours := func() byte {
			payload := p.planted(t, key)
			require.NotEmpty(t, payload)
			return payload[0]
		}
		require.Equal(t, byte(2), ours())
		p.plant(t, key, 1, "\x01"+`{"UserID":"another"}`) // it overwrites what it can't read, and so do we
		p.requireSession(t, token)
		require.Equal(t, byte(2), ours())

		require.NoError(t, b.service.Logout(ctx, token)) // its log-out
		p.plant(t, key, 2, "")
		p.requireNone(t, token)

		token = b.session(t, ada.ID)
		require.NoError(t, p.Logout(ctx, token)) // ours
		for _, key = range p.keys(t, s, "session") {
			if payload := p.planted(t, key); payload != "" {
				require.Equal(t, byte(2), ours())
			}
		}
	})
}
