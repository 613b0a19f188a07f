package users

import (
	"context"
	"time"
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

type cachedSession struct {
	Session
	// ReadAt is when the database was asked.
	ReadAt time.Time
}

// Login is Service.Login.
func (c *Cache) Login(ctx context.Context, email, password string) (string, Session, error) {
	return c.service.Login(ctx, email, password)
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
	if !wellFormed(token) {
		return Session{}, noSession()
	}
	session, result, err := c.authenticate(ctx, hashOf(token))
	c.metrics.count("session", result)
	return session, err
}

func (c *Cache) authenticate(ctx context.Context, tokenHash string) (Session, string, error) {
	key := c.sessionKey(tokenHash)
	if c.rdb == nil || c.lost.suspect(key) {
		session, err := c.service.session(ctx, tokenHash)
		return session, bypass, err
	}
	payload, found, err := c.entries.get(ctx, key)
	if err != nil {
		session, err := c.service.session(ctx, tokenHash)
		return session, bypass, err
	}
	if found && payload == tombstone {
		return Session{}, negative, noSession()
	}
	now := c.service.now()
	var cached cachedSession
	// Redis expires entries by itself; the age is checked again because its clock is not ours and may stand still.
	if found && decode(payload, &cached) && now.Sub(cached.ReadAt) < cachedSessionLife {
		if !now.Before(cached.ExpiresAt) {
			return Session{}, negative, noSession()
		}
		return cached.Session, hit, nil
	}

	session, err := c.service.session(ctx, tokenHash)
	if err != nil {
		return Session{}, miss, err
	}
	ttl := min(cachedSessionLife-c.service.now().Sub(now), session.ExpiresAt.Sub(now))
	if ttl <= 0 {
		return session, miss, nil
	}
	written, err := c.entries.put(ctx, key, sessionLives, encode(cachedSession{session, now}), ttl)
	if err == nil && !written { // revoked since it was read
		return Session{}, miss, noSession()
	}
	return session, loaded(err), nil
}

// Logout is Service.Logout.
func (c *Cache) Logout(ctx context.Context, token string) error {
	if err := c.service.Logout(ctx, token); err != nil {
		return err
	}
	if wellFormed(token) {
		c.revoke(ctx, []string{hashOf(token)})
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

func (c *Cache) revoke(ctx context.Context, tokenHashes []string) {
	if c.rdb == nil {
		return
	}
	for _, tokenHash := range tokenHashes {
		c.lost.send(ctx, invalidation{
			key: c.sessionKey(tokenHash), version: sessionRevoked, ttl: revokedTTL,
			outlived: c.service.now().Add(cachedSessionLife),
		})
	}
}

func (c *Cache) sessionKey(tokenHash string) string { return c.prefix + "session:" + tokenHash }
