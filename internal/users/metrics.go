package users

import "github.com/prometheus/client_golang/prometheus"

// How a read went: answered by the cache, answered by the cache with a no, loaded because the cache did not know, or answered
// by the database because the cache could not be asked, trusted or written.
const (
	hit      = "hit"
	negative = "negative"
	miss     = "miss"
	bypass   = "bypass"
)

// loaded is the result of a read that the database answered, by what came of writing the answer to the cache. Where that failed, the next
// reader loads it again.
func loaded(failed error) string {
	if failed != nil {
		return bypass
	}
	return miss
}

// Metrics counts what the caches do. A nil *Metrics counts nothing.
type Metrics struct{ requests, unverified *prometheus.CounterVec }

// NewMetrics registers orderly_cache_requests_total{cache, result} and orderly_cache_unverified_total{cache} with reg, every combination at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "orderly_cache_requests_total",
		Help: "Reads through a cache by how they were answered.",
	}, []string{"cache", "result"}), unverified: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "orderly_cache_unverified_total",
		Help: "Entries of a cache that were not believed because no key opened their seal.",
	}, []string{"cache"})}
	reg.MustRegister(m.requests, m.unverified)
	for _, cache := range []string{"profile", "session"} {
		m.unverified.WithLabelValues(cache)
		for _, result := range []string{hit, negative, miss, bypass} {
			m.requests.WithLabelValues(cache, result)
		}
	}
	return m
}

func (m *Metrics) count(cache, result string) {
	if m != nil {
		m.requests.WithLabelValues(cache, result).Inc()
	}
}

func (m *Metrics) refused(cache string) {
	if m != nil {
		m.unverified.WithLabelValues(cache).Inc()
	}
}
