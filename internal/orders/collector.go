package orders

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var ordersAttention = prometheus.NewDesc("orderly_orders_attention", "Open orders an operator should look at, stalled or parked.",
	[]string{"attention"}, nil)

// scrapeTimeout bounds the query of one scrape, so that a database that hangs does not hang /metrics.
const scrapeTimeout = 2 * time.Second

// Collector counts what needs attention when it is scraped.
func (s *Service) Collector() prometheus.Collector { return collector{s} }

type collector struct{ service *Service }

// Describe implements prometheus.Collector.
func (c collector) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- ordersAttention }

// Collect implements prometheus.Collector.
func (c collector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	counts, err := c.service.Attentions(ctx)
	if err != nil {
		return // no figure rather than a wrong one; readiness says that the database is down
	}
	for _, attention := range []Attention{Stalled, Parked} {
		metrics <- prometheus.MustNewConstMetric(ordersAttention, prometheus.GaugeValue, float64(counts[attention]), string(attention))
	}
}
