package users

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"example.com/orderly/internal/fault"
)

const (
	maxEmail     = 254 // RFC 5321, section 4.5.3.1.3: a path without its brackets
	maxLocalPart = 64  // RFC 5321, section 4.5.3.1.1
	maxLabel     = 63  // RFC 1035, section 2.3.4
	maxName      = 200
)

// foldEmail returns the address as it is looked up: without white space around it, ASCII letters in lower case. It is empty for what has other
// characters than printable ASCII: no account has such an address, and U+212A, which Unicode folds into k, must not find that of another.
func foldEmail(given string) string {
	email := strings.Trim(given, " \t\r\n")
	if strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return strings.ToLower(email)
}

// normaliseEmail returns the bare address in lower case. Only ASCII is taken: not every mail server carries anything else, and
// two addresses that look the same must be the same. A domain has a dot, since no mail leaves for one without. Addresses of customers who
// registered before can be less; they are only looked up.
func normaliseEmail(given string) (string, error) {
	email := foldEmail(given)
	parsed, err := mail.ParseAddress(email)
	at := max(strings.LastIndexByte(email, '@'), 0)
	local, domain := email[:at], strings.TrimPrefix(email[at:], "@")
	if err != nil || parsed.Name != "" || parsed.Address != email || len(email) > maxEmail || len(local) > maxLocalPart || !isDomain(domain) {
		return "", fault.New(fault.Invalid, "invalid_email", "this is not an email address")
	}
	return email, nil
}

// AddressKey is the same text for all ways to write an address that belong to one account, for counting by it. What is no address has a key,
// too.
func AddressKey(given string) string {
	if email := foldEmail(given); email != "" {
		return email
	}
	return given
}

// isDomain follows RFC 5321, section 4.1.2: labels of letters, digits and hyphens, none at an end; here at least two.
func isDomain(domain string) bool {
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		odd := strings.ContainsFunc(label, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') })
		if label == "" || len(label) > maxLabel || odd || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return len(labels) > 1
}

// normaliseName trims and composes (NFC). Control characters are refused because a name ends up in the header of a mail, and so is what can't be
// seen or turns the direction of what follows, because a name is shown to people who decide by it. Joiners stay: Persian, many scripts of India
// and emoji are written with them.
func normaliseName(given string) (string, error) {
	name := norm.NFC.String(strings.TrimSpace(given))
	seen := strings.ContainsFunc(name, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) })
	if !seen || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, hidden) {
		return "", fault.New(fault.Invalid, "invalid_name",
			"a name has 1 to %d characters, none of them control characters, invisible or turning the direction of the text", maxName)
	}
	return name, nil
}

// hidden tells the characters that can't be seen, or that change how others are shown.
func hidden(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	if r == nonJoiner || r == joiner {
		return false
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) || r == '\u2800'
}
