package password

import (
	_ "embed"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"example.com/orderly/internal/fault"
)

const (
	// MinLength is in characters, which are Unicode code points after normalisation: the least that NIST SP 800-63B-4, section 3.1.1.2, allows
	// where the password is all that a log-in asks for. Passwords chosen before are not measured.
	MinLength = 15
	// MaxLength is in characters, too. No password of an account is longer, also of those that were chosen while the bound was 1,024 bytes.
	MaxLength = 1024
	// leastApart is how many characters must be left when a run such as 12345 or aaaa counts as one.
	leastApart = 8
	// leastOwn is the length from which a part of an address is looked for in a password.
	leastOwn = 3
	// leastAdded is how many characters beside a word are more than a trifle.
	leastAdded = 5
	// longestCommon is the length of the longest common password.
	longestCommon = 20
)

// common are passwords that are tried first, each between two line breaks, in lower case; common.md says where they are from.
//
//go:embed common.txt
var common string

// serviceName is expected in passwords for this service, NIST SP 800-63B-4, section 3.1.1.2.
const serviceName = "orderly"

// Normalise is the form of a password that is hashed and measured: Unicode's NFC, NIST SP 800-63B-4, section 3.1.1.2. So é is one password,
// whether a keyboard sends one code point or two.
func Normalise(password string) string { return norm.NFC.String(password) }

// TooLong reports whether it can be the password of no account, so that a log-in with it need not be hashed.
func TooLong(password string) bool { return utf8.RuneCountInString(Normalise(password)) > MaxLength }

// Check says whether the account with these email addresses may choose the password: Invalid weak_password, whose message names the rule, or
// password_too_long. The rules are those of NIST SP 800-63B-4, section 3.1.1.2: a length, a list of common passwords to which the whole one is
// compared, what can be expected of this service and account, and no demand for kinds of characters.
func Check(password string, emails ...string) error {
	given := []rune(strings.ToLower(Normalise(password)))
	count := utf8.RuneCountInString(Normalise(password))
	switch {
	case count < MinLength:
		return weak("a password has at least %d characters; a few words in a row are easy to remember", MinLength)
	case count > MaxLength:
		return fault.New(fault.Invalid, "password_too_long", "a password has at most %d characters", MaxLength)
	case period(given) < MinLength:
		return weak("a password that repeats itself counts once, and then it must have at least %d characters", MinLength)
	case apart(given) < leastApart:
		return weak("a password is more than runs such as 123456, qwerty or aaaa, each of which counts as one character")
	case madeOf(string(given), own(emails)):
		return weak("a password is not the own email address or the name of this service, alone or with a common password")
	case madeOf(string(given), nil):
		return weak("this is one of the passwords that are tried first, or two of them in a row")
	}
	return nil
}

func weak(message string, args ...any) error {
	return fault.New(fault.Invalid, "weak_password", message, args...)
}

// period is the length of the shortest part that gives the whole when it is repeated, the last time perhaps not to its end: without what
// stands between the parts, for example.
func period(text []rune) int {
	// The failure function of Knuth, Morris and Pratt: border[i] is the longest proper prefix of text[:i+1] that also ends it.
	border := make([]int, len(text))
	for i := 1; i < len(text); i++ {
		k := border[i-1]
		for k > 0 && text[i] != text[k] {
			k = border[k-1]
		}
		if text[i] == text[k] {
			k++
		}
		border[i] = k
	}
	if shortest := len(text) - border[len(text)-1]; shortest*2 <= len(text)+1 {
		return shortest
	}
	return len(text)
}

// rows are what characters follow each other in.
var rows = []string{"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm"}

// apart is how many characters there are when each run of three or more counts as one.
func apart(text []rune) int {
	count := 0
	for at := 0; at < len(text); count++ {
		longest := 1
		for _, step := range []func(a, b rune) bool{
			func(a, b rune) bool { return a == b },
			func(a, b rune) bool { return follows(string([]rune{a, b})) },
			func(a, b rune) bool { return follows(string([]rune{b, a})) },
		} {
			end := at + 1
			for end < len(text) && step(text[end-1], text[end]) {
				end++
			}
			if end-at >= 3 {
				longest = max(longest, end-at)
			}
		}
		at += longest
	}
	return count
}

func follows(pair string) bool {
	for _, row := range rows {
		if strings.Contains(row, pair) {
			return true
		}
	}
	return false
}

// own are the words that are expected in the password of the account with these addresses.
func own(emails []string) []string {
	words := []string{serviceName}
	for _, email := range emails {
		email = strings.ToLower(email)
		local, domain, _ := strings.Cut(email, "@")
		for _, word := range []string{email, local, domain} {
			if len(word) >= leastOwn {
				words = append(words, word)
			}
		}
	}
	return words
}

// madeOf reports whether the text is one of the words, or one of them beside another or beside a common password. Without words it is about
// common passwords alone.
func madeOf(text string, words []string) bool {
	has := func(part string) bool {
		for _, word := range words {
			if part == word {
				return true
			}
		}
		return words == nil && isCommon(part)
	}
	if has(text) {
		return true
	}
	for cut := range text {
		if cut == 0 {
			continue
		}
		first, second := text[:cut], text[cut:]
		if (has(first) && (expected(second) || has(second))) || (has(second) && expected(first)) {
			return true
		}
	}
	return false
}

// expected reports whether the part of a password adds little to the other part.
func expected(part string) bool {
	return utf8.RuneCountInString(part) < leastAdded || isCommon(part) || apart([]rune(part)) == 1
}

func isCommon(text string) bool {
	return len(text) <= longestCommon && !strings.Contains(text, "\n") && strings.Contains(common, "\n"+text+"\n")
}
