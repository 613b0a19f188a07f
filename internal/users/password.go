package users

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/password"
	"example.com/orderly/internal/sessiontoken"
)

// CheckPassword asks for the password of a customer who is logged in, before what a stolen session must not do. Invalid wrong_password, also
// for a customer without a password; NotFound user_not_found; Unavailable busy as Login.
func (s *Service) CheckPassword(ctx context.Context, id, given string) error {
	_, err := s.checked(ctx, id, given)
	return err
}

// checked is CheckPassword and returns what the password was checked against.
func (s *Service) checked(ctx context.Context, id, given string) (user credentials, err error) {
	wrong := fault.New(fault.Invalid, "wrong_password", "the current password is wrong")
	if password.TooLong(given) {
		return credentials{}, wrong
	}
	err = s.db.Get(ctx, &user, `SELECT id, email, password_hash FROM users WHERE id = ? AND deleted_at IS NULL`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return credentials{}, noUser(id)
	}
	if err != nil {
		return credentials{}, fmt.Errorf("check the password of customer %s: %w", id, err)
	}
	right, err := s.matches(ctx, &user, given)
	if err != nil {
		return credentials{}, fmt.Errorf("check the password of customer %s: %w", id, err)
	}
	if !right {
		return credentials{}, wrong
	}
	return user, nil
}

// ChangePassword gives the customer another password and ends all sessions but that of the token. Invalid wrong_password when current is not
// the one there is, weak_password or password_too_long for the chosen one; Conflict password_changed when it was changed meanwhile; NotFound
// user_not_found; Unavailable busy as Login. Not announced: it changes nothing that others may know.
func (s *Service) ChangePassword(ctx context.Context, id, token, current, chosen string) error {
	_, err := s.changePassword(ctx, id, token, current, chosen)
	return err
}

// changePassword also returns the token hashes of the sessions it ended.
func (s *Service) changePassword(ctx context.Context, id, token, current, chosen string) (ended []string, err error) {
	user, err := s.checked(ctx, id, current)
	if err != nil {
		return nil, err
	}
	if err := password.Check(chosen, user.Email.String); err != nil {
		return nil, err
	}
	hash, err := s.passwords.Hash(ctx, password.Normalise(chosen))
	if err != nil {
		return nil, fmt.Errorf("change the password of customer %s: %w", id, err)
	}
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		ended = nil
		rows, err := tx.Exec(ctx, `UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ? AND deleted_at IS NULL`,
			hash, id, user.PasswordHash)
		if err != nil {
			return err
		}
		if rows == 0 {
			return fault.New(fault.Conflict, "password_changed", "the password was changed meanwhile; try again with the new one")
		}
		return tx.Select(ctx, &ended, `DELETE FROM sessions WHERE user_id = ? AND token_hash <> ? RETURNING token_hash`, id, sessiontoken.Hash(token))
	})
	if err != nil {
		return nil, fmt.Errorf("change the password of customer %s: %w", id, err)
	}
	return ended, nil
}
