package notifications

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ParseFrom reads the address that mails come from, "shop@example.com" or "The Shop <shop@example.com>". An international domain comes
// back in its ASCII form, xn--..., which every mail server takes.
func ParseFrom(from string) (mail.Address, error) {
	address, err := mail.ParseAddress(from)
	if err != nil {
		return mail.Address{}, fmt.Errorf("mails cannot come from %q: %w", from, err)
	}
	local, domain := split(address.Address)
	if !IsASCII(local) {
		return mail.Address{}, fmt.Errorf("mails cannot come from %q: what stands before the @ must be ASCII, since few mail servers take anything else", from)
	}
	if domain, err = ASCIIDomain(domain); err != nil {
		return mail.Address{}, fmt.Errorf("mails cannot come from %q: the domain is none: %w", from, err)
	}
	address.Address = local + "@" + domain
	return *address, nil
}

// DomainOf is what follows the @. Mail servers expect to find the sender's in the Message-ID and in the name that we give.
func DomainOf(address mail.Address) string {
	_, domain := split(address.Address)
	return domain
}

// parseTo checks a customer's address. Its domain comes back in ASCII, what stands before the @ as it is. The error does not quote it.
func parseTo(email string) (string, error) {
	unusable := errors.New("the customer's address is not one that can be written to")
	if parsed, err := mail.ParseAddress(email); err != nil || parsed.Address != email {
		return "", unusable
	}
	local, domain := split(email)
	domain, err := ASCIIDomain(domain)
	if err != nil {
		return "", unusable
	}
	return local + "@" + domain, nil
}

func split(address string) (local, domain string) {
	at := strings.LastIndexByte(address, '@')
	return address[:at], address[at+1:]
}

// ASCIIDomain is the form of a domain that every server takes: xn--... where it has other characters. A domain in ASCII stays as it is.
func ASCIIDomain(domain string) (string, error) {
	if IsASCII(domain) {
		return domain, nil
	}
	return idna.Lookup.ToASCII(domain)
}

// IsASCII reports that text can be sent to every mail server.
func IsASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
