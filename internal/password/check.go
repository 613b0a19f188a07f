package password

import "example.com/orderly/internal/fault"

const (
	minBytes = 10
	maxBytes = 1024
)

// Check says whether the password may be chosen: Invalid weak_password or password_too_long.
func Check(password string) error {
	if len(password) < minBytes {
		return fault.New(fault.Invalid, "weak_password", "a password has at least %d bytes", minBytes)
	}
	if TooLong(password) {
		return fault.New(fault.Invalid, "password_too_long", "a password has at most %d bytes", maxBytes)
	}
	return nil
}

// TooLong reports whether it can be the password of no account, so that a log-in with it need not be hashed.
func TooLong(password string) bool { return len(password) > maxBytes }
