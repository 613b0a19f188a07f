package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/node/config"
)

// WithInboxes opens the built-in listeners' inboxes where the settings say they are. Nothing is handled here: a change is taken
// up by the stack that runs, or by the next one.
func WithInboxes(ctx context.Context, cfg config.Config, say func(string), do func(inboxes map[string]*listen.Inbox) error) error {
	log := slog.New(slog.DiscardHandler)
	inboxes := map[string]*listen.Inbox{}
	for service, subscription := range BuiltIn() {
		db, err := openExisting(ctx, cfg, service, say)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		inbox, err := listen.OpenForAdmin(ctx, db.Pool(), string(db.Engine()), []listen.Subscription{subscription}, listen.Options{Log: log})
		if err != nil {
			return err
		}
		inboxes[subscription.Name] = inbox
	}
	return do(inboxes)
}

// openExisting opens a service's database that a stack has made before; it makes and changes nothing.
func openExisting(ctx context.Context, cfg config.Config, service string, say func(string)) (*database.DB, error) {
	at, err := cfg.DatabaseOf(service)
	if err != nil {
		return nil, err
	}
	if path, file := strings.CutPrefix(at, "sqlite:"); file {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("there is no %s database at %s: run orderly dev first, or set ORDERLY_DATA or DATABASE_URL", service, path)
		}
	}
	db, _, err := openDatabase(ctx, cfg, service, opening{wait: true}, say)
	return db, err
}
