// Package paymenttoken has the one rule of what a payment method may look like: a payment provider's token, never a card number. The API, the
// orders service and the provider's client all ask it, so that a card number is not stored, sent, logged or shown by any of them.
package paymenttoken

import "regexp"

var (
	form = regexp.MustCompile(`^[a-z]{2,10}_[A-Za-z0-9_]{1,80}$`)
	// Cards have 13 to 19 digits (ISO/IEC 7812-1 allows fewer, which would match too much); people write separators between them.
	cardNumber = regexp.MustCompile(`[0-9](?:[-_ ]?[0-9]){12,}`)
)

// Valid reports whether token has the form of a provider's token, such as pm_card_visa: a lower-case prefix, an underscore, then up to 80
// letters, digits and underscores, which hold no card number. It does not say that the provider knows the token.
func Valid(token string) bool { return form.MatchString(token) && !HoldsCardNumber(token) }

// HoldsCardNumber reports whether text has 13 digits or more in a row, with or without separators. Such text must not be repeated to anyone.
func HoldsCardNumber(text string) bool { return cardNumber.MatchString(text) }
