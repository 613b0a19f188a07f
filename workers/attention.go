package workers

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/internal/orders"
)

var ordersAttention = prometheus.NewDesc("orderly_orders_attention", "Open orders an operator should look at, stalled or parked.",
	[]string{"attention"}, nil)

// Attention is a collector that asks the orders service what needs attention when it is scraped.
type Attention struct{ Orders *orders.Service }

// Describe implements prometheus.Collector.
func (c Attention) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- ordersAttention }

// Collect implements prometheus.Collector.
func (c Attention) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	counts, err := c.Orders.Attentions(ctx)
	if err != nil {
		return // a missing figure is the truth; readiness says that the database is down
	}
	for _, attention := range []orders.Attention{orders.Stalled, orders.Parked} {
		metrics <- prometheus.MustNewConstMetric(ordersAttention, prometheus.GaugeValue, float64(counts[attention]), string(attention))
	}
}
