package limit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// patience bounds asking Redis.
	patience = 250 * time.Millisecond
	// calm is how long Redis must answer before it is said that it does again: one node of a cluster may fail while the others answer.
	calm = 10 * time.Second
)

// Limiter counts in Redis where there is one. Without one, and whenever it fails or is slow, it counts in the memory of this process, which
// knows what Redis last said of the keys that were asked for here. So a limit is never open; while Redis fails it is one per process. Safe
// for concurrent use.
type Limiter struct {
	redis   *Redis // nil without
	memory  *Memory
	now     func() time.Time
	log     *slog.Logger
	counted *prometheus.CounterVec

	mu      sync.Mutex
	failing bool
	failed  time.Time // the latest failure of Redis
}

// Options are what a Limiter needs; the zero value counts in memory.
type Options struct {
	// Redis is where to count; nil for the memory of this process.
	Redis *Redis
	// Registerer takes orderly_limit_decisions_total; nil for none.
	Registerer prometheus.Registerer
	// Log takes a line when Redis begins to fail and when it answers again; slog.Default if nil.
	Log *slog.Logger
	// Now is the clock of this process; time.Now if nil.
	Now func() time.Time
}

// New returns a Limiter.
func New(o Options) *Limiter {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	l := &Limiter{redis: o.Redis, memory: NewMemory(o.Now), now: o.Now, log: o.Log}
	l.counted = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "orderly_limit_decisions_total",
		Help: "Decisions about limits by who counted: redis, or process without Redis and while it fails.",
	}, []string{"by"})
	for _, by := range []string{"redis", "process"} {
		l.counted.WithLabelValues(by)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(l.counted)
	}
	return l
}

// Take takes n from the key of the limit of this name, where the rate has so much left. With n zero it only tells, and a negative n gives back.
func (l *Limiter) Take(ctx context.Context, name, key string, rate Rate, n int) Verdict {
	if l.redis == nil {
		l.counted.WithLabelValues("process").Inc()
		return l.memory.Take(name, key, rate, n)
	}
	// A client that leaves says nothing about Redis.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	verdict, err := l.redis.Take(ctx, name, key, rate, n)
	l.note(err)
	if err != nil {
		l.counted.WithLabelValues("process").Inc()
		return l.memory.Take(name, key, rate, n)
	}
	l.counted.WithLabelValues("redis").Inc()
	l.memory.learn(name, key, verdict.ResetAfter)
	return verdict
}

// TakeHere is Take in the memory of this process, for what is asked so often that asking Redis would cost more than it protects.
func (l *Limiter) TakeHere(name, key string, rate Rate, n int) Verdict {
	return l.memory.Take(name, key, rate, n)
}

// note writes a line when Redis begins to fail, and when it answers again.
func (l *Limiter) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if err != nil {
		l.failed = now
		if !l.failing {
			l.failing = true
			l.log.Warn("limits are counted per process while Redis fails", "error", err)
		}
		return
	}
	if l.failing && now.Sub(l.failed) >= calm {
		l.failing = false
		l.log.Info("limits are counted in Redis again")
	}
}
