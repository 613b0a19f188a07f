package password

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
)

func TestWhichPasswordsMayBeChosen(t *testing.T) {
	t.Parallel()
	const own = "ada.lovelace@example.com"
	for given, rule := range map[string]string{
		"":                                "at least 15 characters",
		"password12":                      "at least 15 characters",
		"ééééé":                           "at least 15 characters",
		"ééééééééééééé":                   "at least 15 characters", // 26 bytes
		"e\u0301e\u0301" + "abcdefghijkl": "at least 15 characters", // 14 of them, once composed
		strings.Repeat(" ", 10):           "at least 15 characters",
		strings.Repeat(" ", 15):           "repeats itself",
		strings.Repeat("x", 200):          "repeats itself",
		"abcabcabcabcabc":                 "repeats itself",
		"tr0ub4dor&3tr0ub4dor&3":          "repeats itself",
		"tr0ub4dor& tr0ub4dor&":           "repeats itself",
		"123456789012345":                 "runs such as",
		"abcdefgh12345678":                "runs such as",
		"aaaaaaaabbbbbbbb":                "runs such as",
		"QwertyuiopAsdfghjkl":             "runs such as",
		"poiuytrewq987654":                "runs such as",
		own:                               "own email address",
		"Ada.Lovelace@Example.com":        "own email address",
		"ada.lovelace12345":               "own email address",
		"password4ada.lovelace":           "own email address",
		"orderlypassword":                 "own email address or the name of this service",
		"example.com2024":                 "own email address",
		"1qaz2wsx3edc4rfv":                "tried first",
		"mailcreated5240":                 "tried first",
		"Password1234567":                 "tried first",
		"1234567password":                 "tried first",
		"sunshinepassword":                "tried first",
		"correct horse battery":           "",
		"correct horse battery staple":    "",
		"kx8 v2m qq0 z7t":                 "",
		"пароль для заказов":              "",
		"雪が降る日は家で本を読むのが好き": "",
	} {
		err := Check(given, own)
		if rule == "" {
			require.NoError(t, err, given)
			continue
		}
		require.Equal(t, "weak_password", fault.CodeOf(err), given)
		require.Equal(t, fault.Invalid, fault.KindOf(err))
		require.ErrorContains(t, err, rule, given)
	}
}

// No kind of character is demanded, nor is a long password refused, NIST SP 800-63B-4, section 3.1.1.2.
func TestALongPasswordIsTakenToItsBound(t *testing.T) {
	t.Parallel()
	long := ""
	for i := 0; len([]rune(long)) < MaxLength; i++ {
		long += string(rune('é' + i*i*7%71))
	}
	require.NoError(t, Check(long, "ada@example.com"))
	require.False(t, TooLong(long))
	require.Equal(t, "password_too_long", fault.CodeOf(Check(long+"x", "ada@example.com")))
	require.True(t, TooLong(long+"x"))

	decomposed := strings.Repeat("e\u0301", MaxLength)
	require.False(t, TooLong(decomposed), "characters are counted once they are composed")
	require.False(t, TooLong(strings.Repeat("\u0958", 341)), "which takes two characters each, and was within 1,024 bytes")
}

func TestAPasswordHasOneFormAndEarlierHashesStillServe(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "caf\u00e9 au lait, s'il vous pla\u00eet", "cafe\u0301 au lait, s'il vous plai\u0302t"
	h := NewHasher()
	today, err := h.Hash(t.Context(), Normalise(decomposed))
	require.NoError(t, err)
	earlier, err := h.Hash(t.Context(), decomposed)
	require.NoError(t, err)
	for _, c := range []struct {
		hash, given  string
		right, stale bool
		hashes       int64
	}{
		{hash: today, given: composed, right: true, hashes: 1},
		{hash: today, given: decomposed, right: true, hashes: 1},
		{hash: earlier, given: decomposed, right: true, stale: true, hashes: 2},
		{hash: earlier, given: composed, hashes: 1},
		{hash: earlier, given: decomposed + ".", stale: true, hashes: 2},
		{hash: "", given: decomposed, stale: true, hashes: 2},
		{hash: "", given: composed, hashes: 1},
	} {
		before := h.Hashes()
		right, stale, err := h.Match(t.Context(), c.hash, c.given)
		require.NoError(t, err)
		require.Equal(t, c.right, right, "%+v", c)
		require.Equal(t, c.stale, stale, "%+v", c)
		require.Equal(t, before+c.hashes, h.Hashes(), "%+v", c)
	}
}

func TestTheListOfCommonPasswordsIsInOrder(t *testing.T) {
	t.Parallel()
	words := strings.Split(strings.Trim(common, "\n"), "\n")
	require.Greater(t, len(words), 49_000)
	for i, word := range words {
		require.Equal(t, strings.ToLower(word), word)
		require.LessOrEqual(t, len(word), longestCommon)
		require.True(t, i == 0 || words[i-1] < word, word)
	}
}
