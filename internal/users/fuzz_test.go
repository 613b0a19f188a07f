package users

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzEmail(f *testing.F) {
	for _, seed := range []string{
		"ada@example.com", " ADA@Example.COM\t", "\u212aate@example.com", "\u0130@example.com", "a@localhost", "Ada <ada@example.com>", `"a@b"@example.com`,
		"a@[127.0.0.1]", "a@b.c", "a@b..c", "a@-b.c", "@", "", "a@b.c, d@e.f", "(x)a@b.c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		email, err := normaliseEmail(given)
		if err != nil {
			require.Empty(t, email)
			return
		}
		again, err := normaliseEmail(email)
		require.NoError(t, err)
		require.Equal(t, email, again)
		require.Equal(t, email, foldEmail(given), "a customer is found by the address that registered")
		require.LessOrEqual(t, len(email), maxEmail)
		local, domain, found := strings.Cut(email, "@")
		require.True(t, found && local != "" && len(local) <= maxLocalPart && strings.Contains(domain, "."), email)
		for _, r := range email {
			require.True(t, r > ' ' && r <= '~' && (r < 'A' || r > 'Z'), email)
		}
		require.Len(t, strings.Trim(given, " \t\r\n"), len(email), "nothing but case and white space is changed")
	})
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"Ada", "e\u0301", "A\u200bda", "\u202eada", "علی\u200cرضا", "👩\u200d💻", "\u3164", "\xff", "a\u0300\u0301\u0302"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		name, err := normaliseName(given)
		if err != nil {
			require.Empty(t, name)
			return
		}
		again, err := normaliseName(name)
		require.NoError(t, err)
		require.Equal(t, name, again)
		require.True(t, utf8.ValidString(name))
		for _, r := range name {
			require.False(t, unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control), "%U", r)
		}
	})
}

func FuzzEntry(f *testing.F) {
	keys := sealKeys{{1}, {2}}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	session := cached[Session]{ReadAt: at, Until: at.Add(time.Minute), Is: Session{ID: "a", UserID: "b", CreatedAt: at, ExpiresAt: at.Add(time.Hour)}}
	profile := cached[*Profile]{ReadAt: at, Until: at.Add(time.Hour), Is: &Profile{ID: "b", Email: "ada@example.com", Version: 3}}
	f.Add("session:x", keys.seal("session:x", sessionLives, encode(session)))
	f.Add("session:x", keys[1:].seal("session:x", sessionRevoked, ""))
	f.Add("profile:b", keys.seal("profile:b", 3, encode(profile)))
	f.Add("profile:b", keys.seal("profile:c", 3, encode(cached[*Profile]{})))
	f.Add("session:x", "\x01"+encode(session))
	f.Add("session:x", "")
	f.Fuzz(func(t *testing.T, key, payload string) {
		if version, body, ok := keys.open(key, payload); ok {
			require.Contains(t, []string{keys.seal(key, version, body), keys[1:].seal(key, version, body)}, payload, "opened without its seal")
		}
		// What follows the seal is read only if it opens; it must not bring the process down even so.
		if entry, ok := decode[Session](payload, at); ok {
			require.False(t, entry.ReadAt.After(at) || !entry.Until.After(at))
		}
		if entry, ok := decode[*Profile](payload, at); ok {
			require.False(t, entry.ReadAt.After(at) || !entry.Until.After(at))
		}
	})
}

func FuzzUserAgent(f *testing.F) {
	for _, seed := range []string{"curl/8.5.0", strings.Repeat("é", 200), "a\x00b", "\xff\u202e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		kept := shortened(given)
		require.LessOrEqual(t, len(kept), longestUserAgent)
		require.True(t, utf8.ValidString(kept))
		require.NotContains(t, kept, "\x00")
	})
}
