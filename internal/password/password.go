// Package password hashes passwords with argon2id, verifies them, and says which may be chosen.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"example.com/orderly/internal/source"
)

// cost is what one argon2id hash takes.
type cost struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// currentCost is the least OWASP recommends (Password Storage Cheat Sheet, 2026). Raising it rehashes each password at its
// owner's next login.
var currentCost = cost{memory: 19 * 1024, passes: 2, threads: 1}

const (
	saltBytes = 16
	keyBytes  = 32
	// hashesAtOnce bounds what a flood of logins can take: so many times currentCost.memory, and as many cores.
	hashesAtOnce = 2
	// mostMemory (KiB) and mostPasses bound what a damaged row can make one hash take.
	mostMemory = 1 << 20
	mostPasses = 64
)

// Hasher hashes and verifies, a few at a time. Where more are asked for, sources (source.Of) wait behind their own requests. Safe for
// concurrent use.
type Hasher struct {
	queue *queue
	// dummy stands in where there is no hash, so that a login takes as long for an unknown address as for a known one.
	dummy  hashed
	hashed atomic.Int64
}

// hashed is a password hash; its text form is a PHC string.
type hashed struct {
	cost cost
	salt []byte
	key  []byte
}

// NewHasher returns a Hasher with all its slots free.
func NewHasher() *Hasher {
	return &Hasher{
		queue: newQueue(hashesAtOnce),
		dummy: hashed{cost: currentCost, salt: random(saltBytes), key: random(keyBytes)},
	}
}

// Hashes is how many passwords have been hashed, to store or to verify.
func (h *Hasher) Hashes() int64 { return h.hashed.Load() }

// Hash returns the PHC string to store; Unavailable busy when its turn does not come in time.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	made := hashed{cost: currentCost, salt: random(saltBytes)}
	var err error
	made.key, err = h.derive(ctx, password, made)
	return made.String(), err
}

// Verify reports whether password is the one behind encoded, and whether encoded should be made anew. No password is right for an
// empty encoded. Unavailable busy as Hash.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (right, stale bool, err error) {
	want := h.dummy
	if encoded != "" {
		if want, err = parseHashed(encoded); err != nil {
			return false, false, err
		}
	}
	key, err := h.derive(ctx, password, want)
	if err != nil {
		return false, false, err
	}
	right = subtle.ConstantTimeCompare(key, want.key) == 1 && encoded != ""
	if right {
		h.queue.right(source.Of(ctx))
	}
	return right, want.cost != currentCost, nil
}

func (h *Hasher) derive(ctx context.Context, password string, to hashed) ([]byte, error) {
	if err := h.queue.take(ctx, source.Of(ctx)); err != nil {
		return nil, err
	}
	defer h.queue.done()
	h.hashed.Add(1)
	return argon2.IDKey([]byte(password), to.salt, to.cost.passes, to.cost.memory, to.cost.threads, keyBytes), nil
}

func (h hashed) String() string {
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.cost.memory, h.cost.passes, h.cost.threads, text(h.salt), text(h.key))
}

func parseHashed(encoded string) (hashed, error) {
	var h hashed
	var version int
	var rest string
	unreadable := errors.New("a stored password hash cannot be read") // its text belongs in no log
	if _, err := fmt.Sscanf(encoded, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s",
		&version, &h.cost.memory, &h.cost.passes, &h.cost.threads, &rest); err != nil || version != argon2.Version {
		return hashed{}, unreadable
	}
	if len(rest) != base64.RawStdEncoding.EncodedLen(saltBytes)+1+base64.RawStdEncoding.EncodedLen(keyBytes) {
		return hashed{}, unreadable
	}
	if h.cost.memory > mostMemory || h.cost.passes > mostPasses {
		return hashed{}, unreadable
	}
	cut := base64.RawStdEncoding.EncodedLen(saltBytes)
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.DecodeString(rest[:cut])
	h.key, keyErr = base64.RawStdEncoding.DecodeString(rest[cut+1:])
	if rest[cut] != '$' || saltErr != nil || keyErr != nil || h.cost.passes == 0 || h.cost.threads == 0 || h.String() != encoded {
		return hashed{}, unreadable
	}
	return h, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}
