package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// defaultRetention is how long a namespace that we make keeps closed sagas, if ORDERLY_TEMPORAL_RETENTION is not set.
	defaultRetention = 7 * 24 * time.Hour
	// namespaceTimeout bounds the wait until every part of the server knows a new namespace or attribute.
	namespaceTimeout = time.Minute
)

// PrepareNamespace makes Temporal's namespace where it is missing, sets its retention where that is asked for, and registers our search
// attributes. What the server does not permit us is reported and is no error: an operator may have done it, and sagas run without search
// attributes.
func PrepareNamespace(ctx context.Context, c client.Client, namespace string, retention time.Duration, say func(string)) error {
	var final error // one that trying again does not mend
	err := keepTrying(ctx, func(ctx context.Context) error {
		err := ensureNamespace(ctx, c, namespace, retention, say)
		if passes(err) {
			return err
		}
		final = err
		return nil
	})
	if err := cmp.Or(final, err); err != nil {
		return fmt.Errorf("TEMPORAL_NAMESPACE: prepare namespace %q: %w", namespace, err)
	}
	if err := registerSearchAttributes(ctx, c, namespace, say); err != nil {
		return fmt.Errorf("register search attributes in Temporal's namespace %q: %w", namespace, err)
	}
	return nil
}

func ensureNamespace(ctx context.Context, c client.Client, namespace string, retention time.Duration, say func(string)) error {
	service := c.WorkflowService()
	described, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	var unknown *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &unknown):
		return makeNamespace(ctx, c, namespace, retention, say)
	case err != nil:
		return tolerateForbidden(err, say, "look at the namespace")
	case retention == 0 || described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == retention:
		return nil
	}
	_, err = service.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	})
	if err == nil {
		say("Closed sagas are kept for " + retention.String() + ".")
	}
	return tolerateForbidden(err, say, "set the retention (ORDERLY_TEMPORAL_RETENTION)")
}

func makeNamespace(ctx context.Context, c client.Client, namespace string, retention time.Duration, say func(string)) error {
	if retention == 0 {
		retention = defaultRetention
	}
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, Description: "Orderly's sagas", WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	var there *serviceerror.NamespaceAlreadyExists
	switch {
	case err != nil && !errors.As(err, &there):
		return fmt.Errorf("it does not exist and can't be made (ask for it to be made, or name another): %w", err)
	case err == nil:
		say("Made Temporal's namespace " + namespace + "; closed sagas are kept for " + retention.String() + ".")
	}
	// Each part of the server caches the list of namespaces for some seconds.
	return keepTrying(ctx, func(ctx context.Context) error {
		_, err := c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, PageSize: 1})
		return err
	})
}
