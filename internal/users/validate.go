package users

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/orderly/internal/fault"
)

const (
	maxEmail = 254 // RFC 5321, a path without its brackets
	maxName  = 200
)

// normaliseEmail returns the bare address in lower case. Only ASCII is taken: not every mail server carries anything else, and
// two addresses that look the same must be the same.
func normaliseEmail(given string) (string, error) {
	invalid := fault.New(fault.Invalid, "invalid_email", "this is not an email address")
	email := strings.ToLower(strings.TrimSpace(given))
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Name != "" || parsed.Address != email || len(email) > maxEmail || strings.ContainsRune(email, '[') {
		return "", invalid
	}
	for _, r := range email {
		if r <= ' ' || r > '~' {
			return "", invalid
		}
	}
	return email, nil
}

// AddressKey is the same text for all ways to write an address that belong to one account, for counting by it. What is no address has a key,
// too.
func AddressKey(given string) string {
	if email, err := normaliseEmail(given); err == nil {
		return email
	}
	return strings.ToLower(strings.TrimSpace(given))
}

// normaliseName trims. Control characters are refused because a name ends up in the header of a mail.
func normaliseName(given string) (string, error) {
	name := strings.TrimSpace(given)
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "invalid_name", "a name has 1 to %d characters, none of them control characters", maxName)
	}
	return name, nil
}
