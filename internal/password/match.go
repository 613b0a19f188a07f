package password

import (
	"context"
	"errors"
	"fmt"
)

// ErrLooked is in the chain of Match's error where one form of the password was found wrong, and the other was not looked at.
var ErrLooked = errors.New("one form of the password is wrong")

// Match is Verify for a password as it was given: its normal form is tried, and where that is another one and wrong, the bytes as they are, of
// which hashes were made earlier. Such a hash is stale. How many hashes it takes depends on the password given and not on whether there is
// something encoded.
func (h *Hasher) Match(ctx context.Context, encoded, given string) (right, stale bool, err error) {
	normal := Normalise(given)
	right, stale, err = h.Verify(ctx, encoded, normal)
	if err != nil || right || normal == given {
		return right, stale, err
	}
	if right, _, err = h.Verify(ctx, encoded, given); err != nil {
		return false, false, fmt.Errorf("%w: %w", ErrLooked, err)
	}
	return right, true, nil
}
