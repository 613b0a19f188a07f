package node

import (
	"context"
	"log/slog"
	"time"
)

// defaultDrain is how long orderly serve serves on unless it is told otherwise. A balancer that asks once a second finds out in it twice
// over, and so do the proxies of a Kubernetes Service, as a rule.
const defaultDrain = 5 * time.Second

// drainTime is how long this process serves on after the signal to stop. No requests are routed to a role without a port for them, so its work
// ends at once; and under orderly dev a person waits, and there is no balancer.
func (n *Node) drainTime() time.Duration {
	switch {
	case !n.roles.Has("api") && !n.roles.Has("operator"):
		return 0
	case n.cfg.DrainTime != nil:
		return *n.cfg.DrainTime
	case n.develop:
		return 0
	default:
		return defaultDrain
	}
}

// serveOn returns a context that ends when ctx has ended and drain is over. From the end of ctx on the process is not ready any more, so
// that balancers send their next requests elsewhere, whichever port they ask for its health. It answers all that still come: what runs under
// the returned context goes on.
func (all fronts) serveOn(ctx context.Context, log *slog.Logger, drain time.Duration) (context.Context, context.CancelFunc) {
	serving, stop := ctx, context.CancelFunc(func() {})
	if drain > 0 {
		serving, stop = context.WithCancel(context.WithoutCancel(ctx))
	}
	forget := context.AfterFunc(ctx, func() {
		for _, f := range all {
			f.door.Leave()
		}
		if drain > 0 {
			log.Info("not ready any more; serving on before the stop (ORDERLY_DRAIN_TIME)", "for", drain)
			time.AfterFunc(drain, stop)
		}
	})
	return serving, func() { forget(); stop() }
}
