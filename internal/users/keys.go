package users

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"example.com/orderly/internal/database"
)

const (
	// keysAge is how long the keys are used before the database is asked again.
	keysAge = time.Minute
	// keysPause is how long the cache is bypassed after the keys could not be read, before the database is asked again.
	keysPause = time.Second
	// keySettles is the age from which a new key seals, when each process has read it. Until then it only opens.
	keySettles = 2 * keysAge
	// keyLife is the age of the latest key from which there is a new one. It is longer than an entry lives, so that none is left that only the
	// key before the previous one opens.
	keyLife = 24 * time.Hour
)

type keyRow struct {
	Number    int64         `db:"number"`
	Secret    string        `db:"secret"`
	CreatedAt database.Time `db:"created_at"`
}

// sealKeys reads the keys, and makes the first one where there is none: of processes that do so at once, one writes it and all read it.
func (s *Service) sealKeys(ctx context.Context) (sealKeys, error) {
	rows, err := s.keyRows(ctx)
	if err == nil && len(rows) == 0 {
		if _, err = s.db.Exec(ctx, insertKey, 1, newSecret(), database.At(s.now())); err == nil {
			rows, err = s.keyRows(ctx)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of the cache: %w", err)
	}
	var keys sealKeys
	for _, row := range rows {
		key, ok := sealKeyOf(row.Secret)
		if !ok {
			return nil, errors.New("a key of the cache is not 64 hexadecimal digits; delete the row from cache_keys")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("the keys of the cache were deleted while they were read")
	}
	if len(keys) == 2 && s.now().Sub(rows[0].CreatedAt.Time) < keySettles {
		keys[0], keys[1] = keys[1], keys[0]
	}
	return keys, nil
}

// insertKey leaves alone what another process has written at the same moment.
const insertKey = `INSERT INTO cache_keys (number, secret, created_at) VALUES (?, ?, ?) ON CONFLICT (number) DO NOTHING`

func (s *Service) keyRows(ctx context.Context) (rows []keyRow, err error) {
	err = s.db.Select(ctx, &rows, `SELECT number, secret, created_at FROM cache_keys ORDER BY number DESC LIMIT 2`)
	return rows, err
}

// RotateKeys makes a new key for the cache where the latest is a day old, and removes the one before the latest. Idempotent; several processes
// may do so at once.
func (s *Service) RotateKeys(ctx context.Context) error {
	if _, err := s.box.Time(ctx); err != nil { // not by this process's clock, which may be ahead
		return fmt.Errorf("ask the time to rotate the keys of the cache: %w", err)
	}
	rows, err := s.keyRows(ctx)
	if err != nil {
		return fmt.Errorf("read the keys of the cache: %w", err)
	}
	if len(rows) == 0 || s.now().Sub(rows[0].CreatedAt.Time) < keyLife {
		return nil
	}
	if _, err := s.db.Exec(ctx, insertKey, rows[0].Number+1, newSecret(), database.At(s.now())); err != nil {
		return fmt.Errorf("add a key for the cache: %w", err)
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM cache_keys WHERE number < ?`, rows[0].Number); err != nil {
		return fmt.Errorf("remove an old key of the cache: %w", err)
	}
	return nil
}

func newSecret() string {
	var key sealKey
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(key[:])
}

// keyring is what a process knows of the keys.
type keyring struct {
	service *Service
	asking  singleflight.Group

	mu      sync.Mutex
	keys    sealKeys
	err     error     // of the latest reading
	askedAt time.Time // by the service's clock
}

// get returns the keys, read from the database where the latest answer is too old, once for all who want to know. Where they can't be read it
// is an error, although older ones are known: they may have been replaced because they leaked.
func (r *keyring) get(ctx context.Context) (sealKeys, error) {
	r.mu.Lock()
	keys, err, age := r.keys, r.err, r.service.now().Sub(r.askedAt)
	r.mu.Unlock()
	if (keys != nil && age >= 0 && age < keysAge) || (err != nil && age >= 0 && age < keysPause) {
		return keys, err
	}
	found, err, _ := r.asking.Do("", func() (any, error) {
		ctx, cancel := detached(ctx, loadPatience)
		defer cancel()
		keys, err := r.service.sealKeys(ctx)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.keys, r.err, r.askedAt = keys, err, r.service.now()
		return keys, err
	})
	keys, _ = found.(sealKeys)
	return keys, err
}
