package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// part is something that runs for long. run returns nil once ctx has ended and it has come to rest, or an error when it can't
// go on.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// runParts starts the parts in order and keeps them running until ctx ends or one of them fails. Then it stops them one after
// the other in reverse order, so that each part can still use the ones before it while it comes to rest.
func runParts(ctx context.Context, log *slog.Logger, parts []part) error {
	type running struct {
		part
		stop context.CancelFunc
		done chan struct{}
	}
	failed := make(chan error, len(parts))
	var all []running
	for _, p := range parts {
		// Not ctx itself: its end must not stop all parts at once.
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := running{part: p, stop: stop, done: make(chan struct{})}
		all = append(all, r)
		go func() {
			defer close(r.done)
			if err := r.run(own); err != nil {
				failed <- fmt.Errorf("%s: %w", r.name, err)
			} else if own.Err() == nil {
				failed <- fmt.Errorf("%s ended by itself", r.name)
			}
		}()
	}
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-failed:
		errs = append(errs, err)
	}
	for i := len(all) - 1; i >= 0; i-- {
		log.Debug("stopping", "part", all[i].name)
		all[i].stop()
		<-all[i].done
	}
	close(failed)
	for err := range failed {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
