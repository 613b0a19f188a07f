package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// Part is something that runs for long. Run returns nil once ctx has ended and the part has stopped, or an error when it can't go on.
type Part struct {
	Name string
	Run  func(ctx context.Context) error
}

// Run starts the parts in order and keeps them running until ctx ends or one of them fails. Then it stops them one after
// the other in reverse order, so that each part can still use the ones before it while it comes to rest.
func Run(ctx context.Context, log *slog.Logger, parts []Part) error {
	type running struct {
		Part
		stop context.CancelFunc
		done chan struct{}
	}
	failed := make(chan error, len(parts))
	var all []running
	for _, p := range parts {
		// Not ctx itself: its end must not stop all parts at once.
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := running{Part: p, stop: stop, done: make(chan struct{})}
		all = append(all, r)
		go func() {
			defer close(r.done)
			if err := r.Run(own); err != nil {
				failed <- fmt.Errorf("%s: %w", r.Name, err)
			} else if own.Err() == nil {
				failed <- fmt.Errorf("%s ended by itself", r.Name)
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
		log.Debug("stopping", "part", all[i].Name)
		all[i].stop()
		<-all[i].done
	}
	close(failed)
	for err := range failed {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
