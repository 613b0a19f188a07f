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
