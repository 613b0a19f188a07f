package users

import (
	"context"
	"time"

	"example.com/orderly/internal/sessiontoken"
)

// ReadKeys has the cache read its keys, as the first request would.
func (c *Cache) ReadKeys(ctx context.Context) error {
	_, err := c.keys.get(ctx)
	return err
}

// Sealed is the payload of a session's entry as a process would write it that asked the database at readAt.
func (c *Cache) Sealed(ctx context.Context, token string, session Session, readAt time.Time) (key, payload string) {
	key = c.sessionKey(sessiontoken.Hash(token))
	return key, c.sealed(ctx, key, sessionLives, encode(cached[Session]{ReadAt: readAt, Until: readAt.Add(cachedSessionLife), Is: session}))
}

// SealedProfile is that of a profile.
func (c *Cache) SealedProfile(ctx context.Context, profile Profile, readAt time.Time) (key, payload string) {
	key = c.profileKey(profile.ID)
	return key, c.sealed(ctx, key, profile.Version, encode(cached[*Profile]{ReadAt: readAt, Until: readAt.Add(profileTTL), Is: &profile}))
}

func (c *Cache) sealed(ctx context.Context, key string, version int64, body string) string {
	keys, err := c.keys.get(ctx)
	if err != nil {
		panic(err)
	}
	return keys.seal(key, version, body)
}

// SetNextID has the next customer made get this id, which no caller can choose.
func (s *Service) SetNextID(id string) {
	s.newID = func() (string, error) {
		s.newID = newID
		return id, nil
	}
}

// Hashes is how many passwords the service has hashed.
func (s *Service) Hashes() int64 { return s.passwords.Hashes() }

// HashOf hashes the bytes of a password as they are.
func (s *Service) HashOf(ctx context.Context, given string) (string, error) {
	return s.passwords.Hash(ctx, given)
}

// BeforeSession does something once before the next session is opened, when the password was found right.
func (s *Service) BeforeSession(do func()) {
	s.newToken = func() string {
		s.newToken = sessiontoken.New
		do()
		return sessiontoken.New()
	}
}
