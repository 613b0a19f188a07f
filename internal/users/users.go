// Package users keeps the customers: their profiles, their passwords and their sessions, all of them in the users database. Cache puts
// Redis in front of what is read on every request.
package users

import (
	"embed"
	"time"

	"github.com/google/uuid"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/password"
	"example.com/orderly/internal/sessiontoken"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the tables of the users database.
func Migrations() []database.Migrations {
	return []database.Migrations{outbox.Migrations(), database.Embedded("users", files)}
}

// Service reads and writes the users database. Its methods are safe for concurrent use. A database that does not answer is
// Unavailable from each of them.
type Service struct {
	box       *outbox.Outbox
	db        *database.DB
	now       func() time.Time
	passwords *password.Hasher
	newID     func() (string, error)
	newToken  func() string
}

// New returns the service on the database of box. Sessions begin and end by the clock of the database, or by now where a test gives one.
func New(box *outbox.Outbox, now func() time.Time) *Service {
	if now == nil {
		now = box.Now
	}
	return &Service{box: box, db: box.DB(), now: now, passwords: password.NewHasher(), newID: newID, newToken: sessiontoken.New}
}

// newID makes ids that sort by age, which keeps the index of a growing table compact.
func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}
