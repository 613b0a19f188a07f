package password

import "context"

// Match is Verify for a password as it was given: its normal form is tried, and where that is another one and wrong, the bytes as they are, of
// which hashes were made earlier. Such a hash is stale. How many hashes it takes depends on the password given and not on whether there is
// something encoded.
func (h *Hasher) Match(ctx context.Context, encoded, given string) (right, stale bool, err error) {
	normal := Normalise(given)
	right, stale, err = h.Verify(ctx, encoded, normal)
	if err != nil || right || normal == given {
		return right, stale, err
	}
	right, _, err = h.Verify(ctx, encoded, given)
	return right, true, err
}
