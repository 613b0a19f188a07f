package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/node/config"
)

// WithInboxes opens the inbox of each built-in listener where the settings say it is, and calls do with them, by the name of the listener.
// Nothing is handled here: a change is taken up by the processes that run, or by the next ones.
func WithInboxes(
	ctx context.Context, cfg config.Config, say func(line string), do func(inboxes map[string]*listen.Inbox) error,
) (err error) {
	p := newProcess(cfg, false, slog.New(slog.DiscardHandler), say)
	defer func() { err = errors.Join(err, p.closers.Close()) }()
	inboxes := map[string]*listen.Inbox{}
	for _, s := range Services {
		if len(s.Listens) == 0 {
			continue
		}
		if err := requireFile(cfg, s.Name); err != nil {
			return err
		}
		st, err := openStore(ctx, p, s, true)
		if err != nil {
			return err
		}
		inbox, err := listen.OpenForAdmin(ctx, st.db.Pool(), string(st.db.Engine()), s.Listens, listen.Options{Log: p.log})
		if err != nil {
			return err
		}
		for _, subscription := range s.Listens {
			inboxes[subscription.Name] = inbox
		}
	}
	return do(inboxes)
}

// requireFile refuses a database in a file that is not there, which opening it would make.
func requireFile(cfg config.Config, service string) error {
	at, err := cfg.DatabaseOf(service)
	if err != nil {
		return err
	}
	if path, file := strings.CutPrefix(at, "sqlite:"); file {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("there is no %s database at %s: run orderly dev first, or set ORDERLY_DATA or DATABASE_URL", service, path)
		}
	}
	return nil
}
