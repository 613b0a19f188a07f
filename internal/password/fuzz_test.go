package password

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
)

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"correct horse battery", "password1234567", "e\u0301e\u0301e\u0301", "aaaaaaaaaaaaaaaa", "\xff\xfe", "ada@example.com", ""} {
		f.Add(seed, "ada@example.com")
	}
	f.Add("@", "@")
	f.Fuzz(func(t *testing.T, given, email string) {
		err := Check(given, email)
		require.Equal(t, fault.CodeOf(err), fault.CodeOf(Check(Normalise(given), email)), "both forms are one password")
		if err == nil {
			require.False(t, TooLong(given), "an account whose owner can't log in")
			return
		}
		require.Contains(t, []string{"weak_password", "password_too_long"}, fault.CodeOf(err))
		if given != "" {
			require.NotContains(t, err.Error(), "\n"+given)
		}
	})
}

// A hash that is read is the text that we would have written, so that no two texts are one hash.
func FuzzParseHashed(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI")
	f.Add("$argon2id$v=19$m=+19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI")
	f.Add("$argon2id$v=19$m=19456,t=0,p=0$$")
	f.Add("$2y$10$abc")
	f.Add("")
	f.Fuzz(func(t *testing.T, encoded string) {
		h, err := parseHashed(encoded)
		if err != nil {
			require.EqualError(t, err, "a stored password hash cannot be read")
			return
		}
		require.Equal(t, encoded, h.String())
		require.Len(t, h.salt, saltBytes)
		require.Len(t, h.key, keyBytes)
		require.Positive(t, h.cost.passes)
		require.Positive(t, h.cost.threads)
	})
}
