package node

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/lifecycle"
)

// process holds what each function that opens a part of a node needs: settings, logs, clock, metrics, and where to register its closer.
type process struct {
	cfg config.Config
	log *slog.Logger
	// say tells the user how far the start is.
	say func(line string)
	now func() time.Time
	// develop makes and migrates databases at start, and embeds a cache and a payment provider where none is named.
	develop bool
	metrics *prometheus.Registry
	closers *lifecycle.Closers
}

func newProcess(cfg config.Config, develop bool, log *slog.Logger, say func(line string)) process {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return process{cfg: cfg, log: log, say: say, now: time.Now, develop: develop, metrics: metrics, closers: new(lifecycle.Closers)}
}
