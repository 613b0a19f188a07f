package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/workflows"
)

// stopTimeout is how long a stopping worker waits for its running activities. It is longer than any attempt.
const stopTimeout = 15 * time.Second

// pollers is how many workflow task pollers a worker has, and how many activity task pollers: the SDK's default, stated because it
// bounds how fast a worker can be given work.
const pollers = 2

// StepMetrics measures attempts of activities, by outcome.
type StepMetrics struct {
	seconds *prometheus.HistogramVec
}

// NewStepMetrics registers the metrics with reg.
func NewStepMetrics(reg prometheus.Registerer) *StepMetrics {
	return &StepMetrics{seconds: promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "orderly_step_duration_seconds",
		Help:    "Attempts of saga steps by outcome: yes, no (a business no), waiting (not decided yet) or failed (to be tried again).",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"step", "outcome"})}
}

// NewWorker makes a worker that polls one task queue, with the workflows and activities that register adds. It polls once started;
// stopping it waits for running activities. fatal is called when it can't poll any more and has stopped by itself. The error names an
// activity that sagas ask for on the queue and that register has not added.
func NewWorker(
	c client.Client, queue string, steps *StepMetrics, log *slog.Logger, fatal func(error), register func(r worker.Registry),
	more ...interceptor.WorkerInterceptor,
) (worker.Worker, error) {
	w := worker.New(c, queue, worker.Options{
		OnFatalError:                     fatal,
		WorkerStopTimeout:                stopTimeout,
		DisableRegistrationAliasing:      true,
		LocalActivityWorkerOnly:          queue == activities.InlineQueue, // its sagas ask for activities on the services' queues
		MaxConcurrentWorkflowTaskPollers: pollers,
		MaxConcurrentActivityTaskPollers: pollers,
		Interceptors:                     append([]interceptor.WorkerInterceptor{&observer{steps: steps, log: log}}, more...),
	})
	registry := activities.NewRegistry(w)
	register(registry)
	if err := registry.Complete(queue); err != nil {
		return nil, err
	}
	return w, nil
}

// observer measures every activity and logs those that fail.
type observer struct {
	interceptor.WorkerInterceptorBase
	steps *StepMetrics
	log   *slog.Logger
}

func (o *observer) InterceptActivity(
	ctx context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &observedActivity{
		ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, observer: o,
	}
}

type observedActivity struct {
	interceptor.ActivityInboundInterceptorBase
	observer *observer
}

func (a *observedActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info, began := activity.GetInfo(ctx), time.Now()
	result, err := a.Next.ExecuteActivity(ctx, in)
	outcome := "yes"
	if err != nil {
		outcome = "failed"
		if _, no := activities.Refusal(err); no {
			outcome = "no"
		} else if activities.Waiting(err) {
			outcome = "waiting"
		}
	}
	a.observer.steps.seconds.WithLabelValues(info.ActivityType.Name, outcome).Observe(time.Since(began).Seconds())
	attributes := []any{
		"order_id", workflows.OrderIDOf(info.WorkflowExecution.ID), "step", info.ActivityType.Name, "attempt", info.Attempt,
	}
	if info.IsLocalActivity {
		attributes = append(attributes, "inline", true)
	}
	switch outcome {
	case "failed":
		a.observer.log.WarnContext(ctx, "step failed", append(attributes, "error", err)...)
	default:
		a.observer.log.DebugContext(ctx, "step decided", append(attributes, "outcome", outcome)...)
	}
	return result, err
}
