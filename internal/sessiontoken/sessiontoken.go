// Package sessiontoken makes the tokens of sessions, and the hashes by which databases know them.
package sessiontoken

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// Bytes is how many random bytes a token has.
const Bytes = 32

// New returns a token in base64 (RFC 4648, section 5, without padding).
func New() string {
	b := make([]byte, Bytes)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// WellFormed reports whether New could have made the token. It spares the database what can't be one.
func WellFormed(token string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token) // which leaves out line breaks
	return err == nil && len(raw) == Bytes && len(token) == base64.RawURLEncoding.EncodedLen(Bytes)
}

// Hash is what is stored of a secret with at least 128 random bits. It needs no salt: such a secret can't be guessed from its hash.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
