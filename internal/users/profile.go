package users

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/password"
)

// Profile is what is known about a customer. Version starts at 1 and grows with every change; two profiles with the same ID and
// Version are equal.
type Profile struct {
	ID        string
	Email     string
	Name      string
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Registration is what a new customer gives.
type Registration struct {
	Email    string
	Name     string
	Password string
}

// Change is what UpdateProfile changes; nil leaves a field as it is.
type Change struct {
	Email *string
	Name  *string
	// Versions are those of which the profile must have one; empty for any.
	Versions []int64
}

// profileChanged is the code of a change that was to be made to another version of the profile.
const profileChanged = "profile_changed"

type profileRow struct {
	ID        string         `db:"id"`
	Email     sql.NullString `db:"email"`
	Name      string         `db:"name"`
	Version   int64          `db:"version"`
	CreatedAt database.Time  `db:"created_at"`
	UpdatedAt database.Time  `db:"updated_at"`
	DeletedAt database.Time  `db:"deleted_at"`
}

func (r profileRow) profile() Profile {
	return Profile{
		ID: r.ID, Email: r.Email.String, Name: r.Name, Version: r.Version,
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
	}
}

func noUser(id string) error {
	return fault.New(fault.NotFound, "user_not_found", "there is no customer %s", id)
}

func emailTaken() error {
	return fault.New(fault.Conflict, "email_taken", "another account has this email address")
}

// Register makes a customer and announces user.registered.v1. Invalid invalid_email, invalid_name, weak_password or
// password_too_long; Conflict email_taken; Unavailable busy when too many passwords are being hashed. Not idempotent: a second
// call with the same address is email_taken.
func (s *Service) Register(ctx context.Context, r Registration) (Profile, error) {
	email, err := normaliseEmail(r.Email)
	if err != nil {
		return Profile{}, err
	}
	name, err := normaliseName(r.Name)
	if err != nil {
		return Profile{}, err
	}
	if err := password.Check(r.Password, email); err != nil {
		return Profile{}, err
	}
	hash, err := s.passwords.Hash(ctx, password.Normalise(r.Password))
	if err != nil {
		return Profile{}, err
	}
	profile, made, err := s.create(ctx, email, name, hash)
	if err == nil && !made {
		err = emailTaken()
	}
	if err != nil {
		return Profile{}, fmt.Errorf("register a customer: %w", err)
	}
	return profile, nil
}

// EnsureCustomer returns the customer with this address, made if missing: with name, and without a password, so that no login
// succeeds. Idempotent by email; an existing customer stays as it is. Errors as those of Register.
func (s *Service) EnsureCustomer(ctx context.Context, email, name string) (Profile, error) {
	email, err := normaliseEmail(email)
	if err != nil {
		return Profile{}, err
	}
	if name, err = normaliseName(name); err != nil {
		return Profile{}, err
	}
	profile, _, err := s.create(ctx, email, name, "")
	if err != nil {
		return Profile{}, fmt.Errorf("ensure a customer: %w", err)
	}
	return profile, nil
}

// create makes the customer, or returns the one who has the address.
func (s *Service) create(ctx context.Context, email, name, hash string) (profile Profile, made bool, err error) {
	id, err := s.newID()
	if err != nil {
		return Profile{}, false, fmt.Errorf("make an id: %w", err)
	}
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		at := database.At(s.now())
		rows, err := tx.Exec(ctx, `
			INSERT INTO users (id, email, name, password_hash, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, 1, ?, ?)
			ON CONFLICT (email) DO NOTHING`, id, email, name, hash, at, at)
		if err != nil {
			return err
		}
		var row profileRow
		if err := tx.Get(ctx, &row, `
			SELECT id, email, name, version, created_at, updated_at, deleted_at FROM users WHERE email = ?`, email); err != nil {
			return err
		}
		profile, made = row.profile(), rows == 1
		if !made {
			return nil
		}
		return s.box.Append(ctx, tx, id, events.UserRegistered{UserID: id})
	})
	return profile, made, err
}

// Profile returns the customer's profile; NotFound user_not_found when there is none, or no longer.
func (s *Service) Profile(ctx context.Context, id string) (Profile, error) {
	profile, _, err := s.profile(ctx, id)
	return profile, err
}

// profile is Profile that also tells which version of the row it saw: that of a deleted customer too, and 0 where there never
// was one.
func (s *Service) profile(ctx context.Context, id string) (Profile, int64, error) {
	var row profileRow
	err := s.db.Get(ctx, &row, `
		SELECT id, email, name, version, created_at, updated_at, deleted_at FROM users WHERE id = ?`, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Profile{}, 0, noUser(id)
	case err != nil:
		return Profile{}, 0, fmt.Errorf("read profile %s: %w", id, err)
	case !row.DeletedAt.IsZero():
		return Profile{}, row.Version, noUser(id)
	}
	return row.profile(), row.Version, nil
}

// UpdateProfile applies the change, raises the version by one and announces user.updated.v1. Invalid invalid_email,
// invalid_name or nothing_to_change; NotFound user_not_found; Conflict email_taken, or profile_changed where it has none of the versions.
func (s *Service) UpdateProfile(ctx context.Context, id string, change Change) (Profile, error) {
	var email, name sql.NullString
	var err error
	if change.Email == nil && change.Name == nil {
		return Profile{}, fault.New(fault.Invalid, "nothing_to_change", "give an email address or a name")
	}
	if change.Email != nil {
		if email.String, err = normaliseEmail(*change.Email); err != nil {
			return Profile{}, err
		}
		email.Valid = true
	}
	if change.Name != nil {
		if name.String, err = normaliseName(*change.Name); err != nil {
			return Profile{}, err
		}
		name.Valid = true
	}
	var row profileRow
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		if err := requireVersion(ctx, tx, id, change.Versions); err != nil {
			return err
		}
		refused := tx.Attempt(ctx, func() error {
			return tx.Get(ctx, &row, `
				UPDATE users SET email = COALESCE(?, email), name = COALESCE(?, name), version = version + 1, updated_at = ?
				WHERE id = ? AND deleted_at IS NULL
				RETURNING id, email, name, version, created_at, updated_at, deleted_at`,
				email, name, database.At(s.now()), id)
		})
		if errors.Is(refused, sql.ErrNoRows) {
			return noUser(id)
		}
		if refused != nil {
			return s.whyRefused(ctx, tx, id, email, refused)
		}
		return s.box.Append(ctx, tx, id, events.UserUpdated{UserID: id, Version: row.Version})
	})
	if err != nil {
		return Profile{}, fmt.Errorf("update profile %s: %w", id, err)
	}
	return row.profile(), nil
}

// requireVersion locks the profile and refuses one that has none of the versions.
func requireVersion(ctx context.Context, tx *database.Tx, id string, versions []int64) error {
	if len(versions) == 0 {
		return nil
	}
	var is int64
	err := tx.Get(ctx, &is, `SELECT version FROM users WHERE id = ? AND deleted_at IS NULL`+tx.LockRows(), id)
	if errors.Is(err, sql.ErrNoRows) {
		return noUser(id)
	}
	if err == nil && !slices.Contains(versions, is) {
		return fault.New(fault.Conflict, profileChanged, "the profile was changed meanwhile; read it again")
	}
	return err
}

// whyRefused looks whether another customer has the address by now, which the unique index refuses. It does not read the error, whose
// words differ between engines.
func (s *Service) whyRefused(ctx context.Context, tx *database.Tx, id string, email sql.NullString, refused error) error {
	var taken bool
	if err := tx.Get(ctx, &taken, `SELECT EXISTS (SELECT 1 FROM users WHERE email = ? AND id <> ?)`, email, id); err != nil {
		return errors.Join(refused, err)
	}
	if taken {
		return emailTaken()
	}
	return refused
}

// Delete forgets the customer: personal data and sessions go, the id stays known as deleted, user.deleted.v1 is announced.
// Idempotent by id: deleting a deleted customer does nothing. NotFound user_not_found when there never was one.
func (s *Service) Delete(ctx context.Context, id string) error {
	_, _, err := s.delete(ctx, id)
	return err
}

// delete also returns the version that says deleted and the token hashes of the sessions it ended.
func (s *Service) delete(ctx context.Context, id string) (version int64, ended []string, err error) {
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		ended = nil
		at := database.At(s.now())
		rows, err := tx.Exec(ctx, `
			UPDATE users SET email = NULL, name = '', password_hash = '', version = version + 1, updated_at = ?, deleted_at = ?
			WHERE id = ? AND deleted_at IS NULL`, at, at, id)
		if err != nil {
			return err
		}
		err = tx.Get(ctx, &version, `SELECT version FROM users WHERE id = ?`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return noUser(id)
		}
		if err != nil || rows == 0 {
			return err
		}
		if err := tx.Select(ctx, &ended, `DELETE FROM sessions WHERE user_id = ? RETURNING token_hash`, id); err != nil {
			return err
		}
		return s.box.Append(ctx, tx, id, events.UserDeleted{UserID: id})
	})
	if err != nil {
		return 0, nil, fmt.Errorf("delete customer %s: %w", id, err)
	}
	return version, ended, nil
}
