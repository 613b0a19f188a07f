// Package operators keeps those who look after the system: their accounts, log-ins with a second factor, sessions, and the audit of what is
// done to accounts. Its tables are in the users database. An operator and a customer may have the same e-mail address, and share nothing else.
package operators

import (
	"embed"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/password"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the tables of operators, for the users database.
func Migrations() database.Migrations { return database.Embedded("operators", files) }

// Role is what an operator may do.
type Role string

const (
	// RoleOperator looks after orders.
	RoleOperator Role = "operator"
	// RoleAdmin also looks after operators.
	RoleAdmin Role = "admin"
)

// Operator is an account.
type Operator struct {
	ID    string
	Email string
	Name  string
	Role  Role
	// Enrolled says that the operator has chosen a password and set up a second factor.
	Enrolled  bool
	CreatedAt time.Time
	// TemporaryUntil is when the temporary password of one that is not enrolled ends; zero otherwise.
	TemporaryUntil time.Time
}

// Options are what Service can be given. Each has a default.
type Options struct {
	// Now is the clock; that of the database if nil.
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics
}

// Service reads and writes the tables of operators. Its methods are safe for concurrent use. A database that does not answer is Unavailable
// from each of them.
type Service struct {
	db        *database.DB
	now       func() time.Time
	log       *slog.Logger
	metrics   *Metrics
	passwords *password.Hasher
}

// New returns the service on the users database.
func New(db *database.DB, o Options) *Service {
	s := &Service{db: db, now: o.Now, log: o.Log, metrics: o.Metrics, passwords: password.NewHasher()}
	if s.now == nil {
		s.now = db.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// row is an account as it is stored. RemovedAt is never set in one that is read: removed accounts are not.
type row struct {
	ID              string        `db:"id"`
	Email           string        `db:"email"`
	Name            string        `db:"name"`
	Role            Role          `db:"role"`
	PasswordHash    string        `db:"password_hash"`
	TemporaryUntil  database.Time `db:"temporary_until"`
	TOTPSecret      string        `db:"totp_secret"`
	TOTPConfirmedAt database.Time `db:"totp_confirmed_at"`
	TOTPStep        int64         `db:"totp_step"`
	Failures        int64         `db:"failures"`
	FailedAt        database.Time `db:"failed_at"`
	CreatedAt       database.Time `db:"created_at"`
}

const columns = `o.id, o.email, o.name, o.role, o.password_hash, o.temporary_until, o.totp_secret, o.totp_confirmed_at, o.totp_step,
	o.failures, o.failed_at, o.created_at`

func (r row) enrolled() bool { return !r.TOTPConfirmedAt.IsZero() }

func (r row) operator() Operator {
	return Operator{
		ID: r.ID, Email: r.Email, Name: r.Name, Role: r.Role, Enrolled: r.enrolled(),
		CreatedAt: r.CreatedAt.Time, TemporaryUntil: r.TemporaryUntil.Time,
	}
}

// newID makes ids that sort by age.
func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}
