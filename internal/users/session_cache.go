package users

import (
	"context"
	"time"

	"example.com/orderly/internal/sessiontoken"
)

const (
	// cachedSessionLife counts from before the session was read from the database, so a revocation that Redis never hears of
	// is complete this long after its commit, however slow the reader.
	cachedSessionLife = time.Minute
	revokedTTL        = 2 * cachedSessionLife

	// A session never changes; it only ends.
	sessionLives   = 1
	sessionRevoked = 2
)

// Login is Service.Login.
func (c *Cache) Login(ctx context.Context, email, password, userAgent string) (string, Session, error) {
	return c.service.Login(ctx, email, password, userAgent)
}

// IssueSession is Service.IssueSession.
func (c *Cache) IssueSession(ctx context.Context, userID string) (string, Session, error) {
	return c.service.IssueSession(ctx, userID)
}

// PruneSessions is Service.PruneSessions.
func (c *Cache) PruneSessions(ctx context.Context) (int64, error) {
	return c.service.PruneSessions(ctx)
}

// Authenticate is Service.Authenticate. A revoked session is refused at once where Redis has heard of the revocation, and
// within 60 s where it has not. Only what the database has confirmed is ever cached, so losing Redis grants nothing and ends no
// session.
func (c *Cache) Authenticate(ctx context.Context, token string) (Session, error) {
	if !sessiontoken.WellFormed(token) {
		return Session{}, noSession()
	}
	session, result, err := c.authenticate(ctx, sessiontoken.Hash(token))
	c.metrics.count("session", result)
	return session, err
}

func (c *Cache) authenticate(ctx context.Context, tokenHash string) (Session, string, error) {
	key := c.sessionKey(tokenHash)
	if c.rdb == nil || c.lost.suspect(key) {
		session, err := c.service.session(ctx, tokenHash)
		return session, bypass, err
	}
	keys, payload, err := c.ask(ctx, key)
	if err != nil {
		session, err := c.service.session(ctx, tokenHash)
		return session, bypass, err
	}
	now := c.service.now()
	if version, body, ok := c.open("session", keys, key, payload); ok {
		if version == sessionRevoked {
			return Session{}, negative, noSession()
		}
		if entry, ok := decode[Session](body, now); ok {
			if !now.Before(entry.Is.ExpiresAt) {
				return Session{}, negative, noSession()
			}
			return entry.Is, hit, nil
		}
	}

	session, err := c.service.session(ctx, tokenHash)
	if err != nil {
		return Session{}, miss, err
	}
	ttl := min(cachedSessionLife-c.service.now().Sub(now), session.ExpiresAt.Sub(now))
	if ttl <= 0 {
		return session, miss, nil
	}
	body := encode(cached[Session]{ReadAt: now, Until: now.Add(cachedSessionLife), Is: session})
	written, err := c.entries.put(ctx, key, sessionLives, keys.seal(key, sessionLives, body), ttl)
	if err == nil && !written && c.revoked(ctx, keys, key) { // since it was read
		return Session{}, miss, noSession()
	}
	return session, loaded(err), nil
}

// revoked reports whether Redis says so, under a seal. Without one it is not believed: the database has just said that the session holds.
func (c *Cache) revoked(ctx context.Context, keys sealKeys, key string) bool {
	payload, err := c.entries.get(ctx, key)
	version, _, ok := c.open("session", keys, key, payload)
	return err == nil && ok && version == sessionRevoked
}

// Logout is Service.Logout.
func (c *Cache) Logout(ctx context.Context, token string) error {
	if err := c.service.Logout(ctx, token); err != nil {
		return err
	}
	if sessiontoken.WellFormed(token) {
		c.revoke(ctx, []string{sessiontoken.Hash(token)})
	}
	return nil
}

// RevokeAll is Service.RevokeAll.
func (c *Cache) RevokeAll(ctx context.Context, userID string) error {
	ended, err := c.service.revokeAll(ctx, userID)
	if err != nil {
		return err
	}
	c.revoke(ctx, ended)
	return nil
}

// ChangePassword is Service.ChangePassword.
func (c *Cache) ChangePassword(ctx context.Context, id, token, current, chosen string) error {
	ended, err := c.service.changePassword(ctx, id, token, current, chosen)
	if err != nil {
		return err
	}
	c.revoke(ctx, ended)
	return nil
}

// Sessions is Service.Sessions.
func (c *Cache) Sessions(ctx context.Context, userID string) ([]OpenSession, error) {
	return c.service.Sessions(ctx, userID)
}

// EndSession is Service.EndSession.
func (c *Cache) EndSession(ctx context.Context, userID, id string) error {
	ended, err := c.service.endSession(ctx, userID, id)
	if err != nil {
		return err
	}
	c.revoke(ctx, ended)
	return nil
}

// RotateKeys is Service.RotateKeys.
func (c *Cache) RotateKeys(ctx context.Context) error { return c.service.RotateKeys(ctx) }

func (c *Cache) revoke(ctx context.Context, tokenHashes []string) {
	if c.rdb == nil || len(tokenHashes) == 0 {
		return
	}
	keys, err := c.keys.get(ctx)
	for _, tokenHash := range tokenHashes {
		key := c.sessionKey(tokenHash)
		payload := tombstone // without a seal it says only: ask the database
		if err == nil {
			payload = keys.seal(key, sessionRevoked, "")
		}
		c.lost.send(ctx, invalidation{
			key: key, version: sessionRevoked, payload: payload, ttl: revokedTTL, outlived: c.service.now().Add(cachedSessionLife),
		})
	}
}

func (c *Cache) sessionKey(tokenHash string) string { return c.prefix + "session:" + tokenHash }
