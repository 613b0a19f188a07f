package lifecycle

import (
	"context"
	"time"

	"example.com/orderly/internal/fault"
)

// TryFor bounds one attempt to reach something that may not be up yet.
const TryFor = 5 * time.Second

// Briefly makes one attempt, bounded by TryFor.
func Briefly(ctx context.Context, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, TryFor)
	defer cancel()
	return try(ctx)
}

// WaitFor retries until try succeeds, ctx ends, or the error is not fault.Unavailable. It says once that it waits and for what.
func WaitFor(ctx context.Context, say func(string), what string, try func(ctx context.Context) error) error {
	for told := false; ; told = true {
		err := Briefly(ctx, try)
		if err == nil || ctx.Err() != nil || fault.KindOf(err) != fault.Unavailable {
			if err == nil && told {
				say("Found " + what + ".")
			}
			return err
		}
		if !told {
			say("Waiting for " + what + ": " + err.Error())
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// UnlessStopped returns nil once ctx has ended, since err then only says that the work was interrupted; before that it returns err.
func UnlessStopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}
