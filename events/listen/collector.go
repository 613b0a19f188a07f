package listen

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout bounds the queries of one scrape, so that a database that hangs does not hang /metrics.
const scrapeTimeout = 2 * time.Second

var (
	inboxEvents = prometheus.NewDesc("orderly_inbox_events", "Events a listener holds that are not done, by state.",
		[]string{"listener", "state"}, nil)
	inboxAttempts = prometheus.NewDesc("orderly_inbox_attempts_total", "Attempts of this process to handle an event, by outcome.",
		[]string{"listener", "outcome"}, nil)
	inboxAge = prometheus.NewDesc("orderly_inbox_oldest_seconds", "How long the oldest pending event has waited.",
		[]string{"listener"}, nil)
	inboxDue = prometheus.NewDesc("orderly_inbox_due_seconds", "How long the event that is due for longest has waited for a worker.",
		[]string{"listener"}, nil)
)

// Collector is a prometheus.Collector of the Stats of its inboxes, which it reads when it is scraped: orderly_inbox_events,
// orderly_inbox_attempts_total, orderly_inbox_oldest_seconds and orderly_inbox_due_seconds. A scrape takes 2 s at most, and leaves out an inbox whose database did
// not answer by then.
type Collector []*Inbox

// Describe implements prometheus.Collector.
func (c Collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- inboxEvents
	descriptions <- inboxAttempts
	descriptions <- inboxAge
	descriptions <- inboxDue
}

// Collect implements prometheus.Collector.
func (c Collector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	for _, inbox := range c {
		stats, err := inbox.Stats(ctx)
		now, unknown := inbox.Now(ctx)
		if err != nil || unknown != nil {
			continue // its figures are missing from the scrape; readiness says that the database is down
		}
		for _, s := range stats {
			var age, due float64
			if !s.Oldest.IsZero() {
				age, due = now.Sub(s.Oldest).Seconds(), max(0, now.Sub(s.Due).Seconds())
			}
			metrics <- prometheus.MustNewConstMetric(inboxEvents, prometheus.GaugeValue, float64(s.Pending), s.Listener, "pending")
			metrics <- prometheus.MustNewConstMetric(inboxEvents, prometheus.GaugeValue, float64(s.Dead), s.Listener, "dead")
			metrics <- prometheus.MustNewConstMetric(inboxAttempts, prometheus.CounterValue, float64(s.Done), s.Listener, "done")
			metrics <- prometheus.MustNewConstMetric(inboxAttempts, prometheus.CounterValue, float64(s.Failed), s.Listener, "failed")
			metrics <- prometheus.MustNewConstMetric(inboxAge, prometheus.GaugeValue, age, s.Listener)
			metrics <- prometheus.MustNewConstMetric(inboxDue, prometheus.GaugeValue, due, s.Listener)
		}
	}
}
