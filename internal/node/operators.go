package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/operators"
)

// WithOperators opens the users database where the settings say it is, and calls do with the operators in it. It needs nothing else of the
// system, and works beside one that runs.
func WithOperators(ctx context.Context, cfg config.Config, say func(line string), do func(s *operators.Service) error) (err error) {
	p := newProcess(cfg, false, slog.New(slog.DiscardHandler), say)
	defer func() { err = errors.Join(err, p.closers.Close()) }()
	in := Services[slices.IndexFunc(Services, func(s Service) bool { return s.Name == "users" })]
	if err := requireFile(cfg, in.Name); err != nil {
		return err
	}
	st, err := openStore(ctx, p, in, true)
	if err != nil {
		return err
	}
	if _, err := st.db.Time(ctx); err != nil { // a temporary password ends by the clock of the database
		return err
	}
	return do(operators.New(st.db, operators.Options{Log: p.log}))
}
