package outbox

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout bounds the queries of one scrape, so that a database that hangs does not hang /metrics.
const scrapeTimeout = 2 * time.Second

var (
	backlogEvents = prometheus.NewDesc("orderly_outbox_backlog", "Events that wait to be published.", []string{"source"}, nil)
	backlogAge    = prometheus.NewDesc("orderly_outbox_oldest_seconds",
		"How long the oldest event has waited to be published.", []string{"source"}, nil)
)

// Collector reads the backlogs of the outboxes when it is scraped, so that the figures are those of the tables even if no relay runs.
type Collector []*Outbox

// Describe implements prometheus.Collector.
func (c Collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- backlogEvents
	descriptions <- backlogAge
}

// Collect implements prometheus.Collector.
func (c Collector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	for _, box := range c {
		waiting, oldest, err := box.Backlog(ctx)
		if err != nil {
			continue // no figure rather than a wrong one; readiness says that the database is down
		}
		var age float64
		if waiting > 0 {
			age = box.Now().Sub(oldest).Seconds()
		}
		metrics <- prometheus.MustNewConstMetric(backlogEvents, prometheus.GaugeValue, float64(waiting), box.Source())
		metrics <- prometheus.MustNewConstMetric(backlogAge, prometheus.GaugeValue, age, box.Source())
	}
}
