package operators

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
)

// temporaryFor is how long a temporary password can be used.
const temporaryFor = 24 * time.Hour

const (
	maxEmail = 254 // characters; RFC 5321, a path without its brackets
	maxName  = 200 // characters
)

// NewOperator is an account to be made.
type NewOperator struct {
	Email, Name string
	Role        Role
}

// Add makes an account and returns its temporary password, of 128 random bits, which is stored nowhere and can be used for 24 hours. Invalid
// invalid_email, invalid_name or invalid_role; Conflict operator_exists.
func (s *Service) Add(ctx context.Context, by Actor, given NewOperator) (_ Operator, temporary string, err error) {
	if given.Email, err = normaliseEmail(given.Email); err != nil {
		return Operator{}, "", err
	}
	if err := checkName(given.Name); err != nil {
		return Operator{}, "", err
	}
	if given.Role != RoleOperator && given.Role != RoleAdmin {
		return Operator{}, "", fault.New(fault.Invalid, "invalid_role", "a role is %s or %s", RoleOperator, RoleAdmin)
	}
	id, err := newID()
	if err != nil {
		return Operator{}, "", err
	}
	temporary, hash, err := s.temporary(ctx)
	if err != nil {
		return Operator{}, "", err
	}
	var made row
	e := entry{by: by, act: "operator.add", subject: id, detail: map[string]string{"email": given.Email, "role": string(given.Role)}}
	err = s.act(ctx, e, func(tx *database.Tx, e *entry) error {
		now := database.At(s.now())
		rows, err := tx.Exec(ctx, `
			INSERT INTO operators (id, email, name, role, password_hash, temporary_until, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (email) WHERE removed_at IS NULL DO NOTHING`,
			id, given.Email, given.Name, given.Role, hash, database.At(now.Add(temporaryFor)), now)
		if err != nil {
			return err
		}
		if made, err = find(ctx, tx.Get, given.Email, ""); err != nil {
			return err
		}
		if rows == 0 {
			e.subject = made.ID
			return fault.New(fault.Conflict, "operator_exists", "there is an operator with the address %s already", given.Email)
		}
		return nil
	})
	if err != nil {
		return Operator{}, "", fmt.Errorf("add an operator: %w", err)
	}
	return made.operator(), temporary, nil
}

// Reset takes an operator's password, second factor, recovery codes and sessions, and returns a temporary password as Add does: for a lost
// phone or a forgotten password. NotFound operator_not_found.
func (s *Service) Reset(ctx context.Context, by Actor, email string) (_ Operator, temporary string, err error) {
	temporary, hash, err := s.temporary(ctx)
	if err != nil {
		return Operator{}, "", err
	}
	var found row
	e := entry{by: by, act: "operator.reset", detail: map[string]string{"email": address(email)}}
	err = s.act(ctx, e, func(tx *database.Tx, e *entry) error {
		var err error
		if found, err = find(ctx, tx.Get, address(email), tx.LockRows()); err != nil {
			return err
		}
		e.subject = found.ID
		found.TemporaryUntil, found.TOTPConfirmedAt = database.At(s.now().Add(temporaryFor)), database.Time{}
		if _, err := tx.Exec(ctx, `
			UPDATE operators SET password_hash = ?, temporary_until = ?, totp_secret = '', totp_confirmed_at = NULL, totp_step = 0, failures = 0,
			       failed_at = NULL
			WHERE id = ?`, hash, found.TemporaryUntil, found.ID); err != nil {
			return err
		}
		return forget(ctx, tx, found.ID)
	})
	if err != nil {
		return Operator{}, "", fmt.Errorf("reset an operator: %w", err)
	}
	return found.operator(), temporary, nil
}

// Remove ends an account and its sessions for good: of the operator with this id, or, where it is empty, with this address. NotFound
// operator_not_found; Conflict last_admin for the only admin, or the only one who has enrolled, unless forced.
func (s *Service) Remove(ctx context.Context, by Actor, id, email string, forced bool) (Operator, error) {
	if parsed, err := uuid.Parse(id); id != "" && (err != nil || parsed.String() != id) {
		return Operator{}, notFound() // no id of ours, and not fit to be recorded
	}
	e := entry{by: by, act: "operator.remove", subject: id, detail: map[string]string{}}
	if id == "" {
		e.detail["email"] = address(email)
	}
	if forced {
		e.detail["forced"] = "true"
	}
	var found row
	err := s.act(ctx, e, func(tx *database.Tx, e *entry) error {
		// All admins are locked, in one order: of two who remove each other one is refused.
		var all []row
		if err := tx.Select(ctx, &all, `
			SELECT `+columns+` FROM operators o WHERE o.removed_at IS NULL AND (o.role = 'admin' OR o.id = ? OR o.email = ?)
			ORDER BY o.id`+tx.LockRows(), id, e.detail["email"]); err != nil {
			return err
		}
		found = row{}
		for _, one := range all {
			if one.ID == id || id == "" && one.Email == e.detail["email"] {
				found = one
			}
		}
		others, enrolled := 0, 0
		for _, one := range all {
			if one.Role == RoleAdmin && one.ID != found.ID {
				others++
				if one.enrolled() {
					enrolled++
				}
			}
		}
		if found.ID == "" {
			return notFound()
		}
		e.subject, e.detail["email"] = found.ID, found.Email
		if found.Role == RoleAdmin && !forced && (others == 0 || found.enrolled() && enrolled == 0) {
			return fault.New(fault.Conflict, "last_admin",
				"%s is the only admin who can log in: have another one enrol first, or force it on the command line", found.Email)
		}
		if _, err := tx.Exec(ctx, `
			UPDATE operators SET removed_at = ?, password_hash = '', temporary_until = NULL, totp_secret = '', totp_confirmed_at = NULL
			WHERE id = ?`, database.At(s.now()), found.ID); err != nil {
			return err
		}
		return forget(ctx, tx, found.ID)
	})
	if err != nil {
		return Operator{}, fmt.Errorf("remove an operator: %w", err)
	}
	return found.operator(), nil
}

// List returns all accounts, the oldest first.
func (s *Service) List(ctx context.Context) ([]Operator, error) {
	var rows []row
	if err := s.db.Select(ctx, &rows, `SELECT `+columns+` FROM operators o WHERE o.removed_at IS NULL ORDER BY o.id`); err != nil {
		return nil, fmt.Errorf("list the operators: %w", err)
	}
	all := make([]Operator, len(rows))
	for i, r := range rows {
		all[i] = r.operator()
	}
	return all, nil
}

func (s *Service) temporary(ctx context.Context) (password, hash string, err error) {
	password = rand.Text()
	hash, err = s.passwords.Hash(ctx, password)
	return password, hash, err
}

// forget ends the sessions of an operator and drops the recovery codes.
func forget(ctx context.Context, tx *database.Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM operator_sessions WHERE operator_id = ?`, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM operator_recovery_codes WHERE operator_id = ?`, id)
	return err
}

// find reads the account with this address; lock is the clause that locks it.
func find(ctx context.Context, get database.Getter, email, lock string) (r row, err error) {
	err = get(ctx, &r, `SELECT `+columns+` FROM operators o WHERE o.email = ? AND o.removed_at IS NULL`+lock, email)
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound()
	}
	return r, err
}

func notFound() error {
	return fault.New(fault.NotFound, "operator_not_found", "there is no such operator: orderly operators list shows who there is")
}

// normaliseEmail returns the bare address in lower case. Only ASCII is taken, so that no two addresses look the same.
func normaliseEmail(given string) (string, error) {
	email := strings.TrimSpace(given)
	// Before the case is folded, since some other letters become ASCII then.
	ascii := !strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r > '~' })
	email = strings.ToLower(email)
	parsed, err := mail.ParseAddress(email)
	if err != nil || !ascii || parsed.Name != "" || parsed.Address != email || len(email) > maxEmail || strings.Contains(email, "[") {
		return "", fault.New(fault.Invalid, "invalid_email", "this is not an email address")
	}
	return email, nil
}

// address is normaliseEmail for a look-up: empty, which no account has, for what is not an address.
func address(given string) string {
	email, _ := normaliseEmail(given)
	return email
}

func checkName(name string) error {
	if strings.TrimSpace(name) != name || name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fault.New(fault.Invalid, "invalid_name", "a name has 1 to %d visible characters", maxName)
	}
	return nil
}
