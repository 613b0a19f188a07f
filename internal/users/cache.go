package users

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/system"
)

const (
	profileTTL = time.Hour // ±10%
	// longestProfile is the longest a profile can stay in Redis, counted from before its write.
	longestProfile = profileTTL + profileTTL/10 + time.Minute
	// unknownTTL is short because an unknown id may still become a customer's. The id of a deleted customer never does.
	unknownTTL = 10 * time.Second
	// loadPatience bounds a load that has outlived its caller.
	loadPatience = 3 * time.Second
)

// Cache is the Service with Redis in front of Profile and Authenticate. Answers and errors are the Service's: with a Redis that is
// down, slow or empty they come from the database, which takes longer. Every write to customers and sessions must go through a
// Cache, or others may read the old value until it expires. Entries are sealed with keys from the database, and what does not open is asked of
// the database: who can write to Redis can have old entries believed until they would have expired, and nothing else. Its methods are safe for
// concurrent use.
type Cache struct {
	service *Service
	rdb     redis.UniversalClient
	entries entries
	keys    *keyring
	lost    *invalidations
	flights singleflight.Group
	prefix  string
	metrics *Metrics
}

// CacheOptions tune a Cache; the zero value is fine.
type CacheOptions struct {
	// Prefix starts every key; "orderly:users:" if empty.
	Prefix string
	// System is the system that the entries are for: they are claimed for it, and not used where they are another's. Empty claims nothing.
	System  system.ID
	Metrics *Metrics
	// Log takes what happens to lost invalidations; slog.Default if nil.
	Log *slog.Logger
}

// NewCache puts rdb in front of service. A nil rdb is no cache: everything goes straight to the database. Callers end it with
// Close, before they close rdb.
func NewCache(rdb redis.UniversalClient, service *Service, options CacheOptions) *Cache {
	if client, ok := rdb.(*redis.Client); ok && client == nil {
		rdb = nil
	}
	if options.Prefix == "" {
		options.Prefix = "orderly:users:"
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	e := entries{rdb: rdb, claim: &claim{rdb: rdb, prefix: options.Prefix, ours: options.System, now: service.now, log: options.Log}}
	return &Cache{
		service: service, rdb: rdb, entries: e, keys: &keyring{service: service}, lost: newInvalidations(e, service.now, options.Log),
		prefix: options.Prefix, metrics: options.Metrics,
	}
}

// Ping asks Redis with the commands that the cache uses, on keys of its own. A server that answers PING may still refuse them: to a user
// without the right to run scripts, or because it is a replica that takes no writes. A system.OtherError where the entries are another system's.
// It is nil without Redis.
func (c *Cache) Ping(ctx context.Context) error {
	if c.rdb == nil {
		return nil
	}
	if c.entries.claim.ours != "" {
		if err := c.entries.claim.ask(ctx); err != nil {
			return err
		}
	}
	return c.entries.check(ctx, c.prefix+"check:1", c.prefix+"check:2", c.prefix+"check:3", c.prefix+"check:4")
}

// Close stops retrying lost invalidations.
func (c *Cache) Close() { c.lost.close() }

// Register is Service.Register.
func (c *Cache) Register(ctx context.Context, r Registration) (Profile, error) {
	profile, err := c.service.Register(ctx, r)
	if err == nil {
		c.outdate(ctx, profile.ID, profile.Version)
	}
	return profile, err
}

// EnsureCustomer is Service.EnsureCustomer.
func (c *Cache) EnsureCustomer(ctx context.Context, email, name string) (Profile, error) {
	profile, err := c.service.EnsureCustomer(ctx, email, name)
	if err == nil {
		c.outdate(ctx, profile.ID, profile.Version)
	}
	return profile, err
}

// UpdateProfile is Service.UpdateProfile. When it returns, this process reads the new profile, and every other one does as soon
// as Redis has heard of it. A caller who was refused because the profile has changed will read the present one.
func (c *Cache) UpdateProfile(ctx context.Context, id string, change Change) (Profile, error) {
	profile, err := c.service.UpdateProfile(ctx, id, change)
	if err == nil {
		c.outdate(ctx, id, profile.Version)
	}
	if fault.CodeOf(err) == profileChanged {
		return Profile{}, errors.Join(err, c.Invalidate(ctx, id))
	}
	return profile, err
}

// CheckPassword is Service.CheckPassword.
func (c *Cache) CheckPassword(ctx context.Context, id, given string) error {
	return c.service.CheckPassword(ctx, id, given)
}

// Delete is Service.Delete; what is cached about the customer and their sessions goes too.
func (c *Cache) Delete(ctx context.Context, id string) error {
	version, ended, err := c.service.delete(ctx, id)
	if err != nil {
		return err
	}
	c.outdate(ctx, id, version)
	c.revoke(ctx, ended)
	return nil
}

// Invalidate removes what is older than the database's version of the profile from the cache. It is for a listener to user.updated and
// user.deleted: the process that made the change may have died before it told Redis. NotFound is not an error here.
func (c *Cache) Invalidate(ctx context.Context, id string) error {
	_, version, err := c.service.profile(ctx, id)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	c.outdate(ctx, id, version)
	return nil
}

// outdate tells Redis, and readers already under way here, not to use older versions of the profile. It writes a tombstone and does
// not delete: a reader that has loaded the old version but not written it yet would bring it back.
func (c *Cache) outdate(ctx context.Context, id string, version int64) {
	if c.rdb == nil {
		return
	}
	c.lost.send(ctx, invalidation{
		key: c.profileKey(id), version: version, ttl: longestProfile, outlived: c.service.now().Add(longestProfile),
	})
	c.flights.Forget(id)
}

type looked struct {
	profile Profile
	result  string
}

// Profile is Service.Profile. Concurrent readers of one id share one look-up, which goes on when the first of them leaves. A
// ctx that ends first is Unavailable timeout when its deadline passed, else ctx's error.
func (c *Cache) Profile(ctx context.Context, id string) (Profile, error) {
	key := c.profileKey(id)
	if c.rdb == nil || c.lost.suspect(key) {
		c.metrics.count("profile", bypass)
		return c.service.Profile(ctx, id)
	}
	flight := c.flights.DoChan(id, func() (any, error) {
		ctx, cancel := detached(ctx, loadPatience)
		defer cancel()
		return c.look(ctx, id, key)
	})
	select {
	case done := <-flight:
		answer := done.Val.(looked)
		c.metrics.count("profile", answer.result)
		return answer.profile, done.Err
	case <-ctx.Done():
		return Profile{}, fmt.Errorf("read profile %s: %w", id, leaving(ctx))
	}
}

func leaving(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", fault.New(fault.Unavailable, "timeout", "the answer did not come in time"), ctx.Err())
	}
	return ctx.Err()
}

// look asks Redis, else the database, and then leaves the answer in Redis unless a newer one is there.
func (c *Cache) look(ctx context.Context, id, key string) (looked, error) {
	keys, payload, err := c.ask(ctx, key)
	if err != nil {
		profile, err := c.service.Profile(ctx, id)
		return looked{profile, bypass}, err
	}
	now := c.service.now()
	if _, body, ok := c.open("profile", keys, key, payload); ok {
		if entry, ok := decode[*Profile](body, now); ok {
			if entry.Is == nil {
				return looked{result: negative}, noUser(id)
			}
			return looked{*entry.Is, hit}, nil
		}
	}

	profile, version, err := c.service.profile(ctx, id)
	ttl, fresh := profileTTL-profileTTL/10+rand.N(profileTTL/5), &profile
	switch {
	case fault.KindOf(err) == fault.NotFound:
		if fresh = nil; version == 0 {
			ttl = unknownTTL
		}
	case err != nil:
		return looked{result: miss}, err
	}
	body := encode(cached[*Profile]{ReadAt: now, Until: now.Add(ttl), Is: fresh})
	_, failed := c.entries.put(ctx, key, version, keys.seal(key, version, body), ttl)
	return looked{profile, loaded(failed)}, err
}

// ask returns the payload under key, empty where there is none, and the keys to open it with.
func (c *Cache) ask(ctx context.Context, key string) (keys sealKeys, payload string, err error) {
	if keys, err = c.keys.get(ctx); err != nil {
		return nil, "", err
	}
	payload, err = c.entries.get(ctx, key)
	return keys, payload, err
}

// open is keys.open, and counts what is sealed and does not open.
func (c *Cache) open(cache string, keys sealKeys, key, payload string) (version int64, body string, ok bool) {
	version, body, ok = keys.open(key, payload)
	if !ok && strings.HasPrefix(payload, payloadSchema) {
		c.metrics.refused(cache)
	}
	return version, body, ok
}

func (c *Cache) profileKey(id string) string { return c.prefix + "profile:" + id }
