package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/orderly/workflows"
)

const (
	// usualRetention is what a namespace of our making gets unless told otherwise.
	usualRetention = 7 * 24 * time.Hour
	// namespacePatience bounds the wait until every part of the server has heard of a new namespace or attribute.
	namespacePatience = time.Minute
)

// prepareNamespace makes Temporal's namespace where it is missing, sets its retention where that is asked for, and registers our search
// attributes. What the server does not permit us is said, and is no error: it may have been done by somebody else, and sagas run
// without search attributes.
func prepareNamespace(ctx context.Context, c client.Client, namespace string, retention time.Duration, say func(string)) error {
	var final error
	err := keepTrying(ctx, func(ctx context.Context) error {
		err := ensureNamespace(ctx, c, namespace, retention, say)
		if unanswered(err) {
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
		return permitted(err, say, "look at the namespace")
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
	return permitted(err, say, "set the retention (ORDERLY_TEMPORAL_RETENTION)")
}

func makeNamespace(ctx context.Context, c client.Client, namespace string, retention time.Duration, say func(string)) error {
	if retention == 0 {
		retention = usualRetention
	}
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, Description: "Orderly's sagas", WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	var there *serviceerror.NamespaceAlreadyExists
	switch {
	case err != nil && !errors.As(err, &there):
		return fmt.Errorf("it does not exist and can't be made (have it made, or name another): %w", err)
	case err == nil:
		say("Made Temporal's namespace " + namespace + "; closed sagas are kept for " + retention.String() + ".")
	}
	// Each part of the server remembers which namespaces there are for some seconds.
	return keepTrying(ctx, func(ctx context.Context) error {
		_, err := c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, PageSize: 1})
		return err
	})
}

// registerSearchAttributes registers what is missing, and returns once the server takes sagas that use it. It may be done by several
// processes at once, and the server refuses all but one of them: hence the further tries.
func registerSearchAttributes(ctx context.Context, c client.Client, namespace string, say func(string)) error {
	var final error
	err := keepTrying(ctx, func(ctx context.Context) error {
		missing, err := missingSearchAttributes(ctx, c, namespace)
		if unknown := new(serviceerror.NamespaceNotFound); errors.As(err, &unknown) || unanswered(err) {
			return err // another process has just made it, and the server has not heard of it everywhere; or it is busy
		}
		if err != nil {
			final = permitted(err, say, "look at the search attributes")
			return nil
		}
		if len(missing) == 0 {
			return searchable(ctx, c, namespace)
		}
		_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace: namespace, SearchAttributes: missing,
		})
		if err == nil {
			say("Registered the search attributes " + strings.Join(slices.Sorted(maps.Keys(missing)), ", ") + ".")
			return searchable(ctx, c, namespace)
		}
		if permitted(err, say, "register the search attributes") == nil {
			return nil
		}
		return err
	})
	return cmp.Or(final, err)
}

// haveSearchAttributes is nil where sagas can be started with our search attributes, else the reason why not.
func haveSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	missing, err := missingSearchAttributes(ctx, c, namespace)
	switch {
	case forbidden(err):
		// Temporal Cloud keeps that list to itself. Whoever may ask for sagas by them sees that they are there.
		return findable(ctx, c, namespace)
	case err == nil && len(missing) > 0:
		return fmt.Errorf("it lacks %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return err
}

// missingSearchAttributes are those of ours that the namespace does not have.
func missingSearchAttributes(ctx context.Context, c client.Client, namespace string) (map[string]enums.IndexedValueType, error) {
	registered, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, err
	}
	missing := map[string]enums.IndexedValueType{}
	for name, kind := range workflows.SearchAttributes() {
		have, there := registered.GetCustomAttributes()[name]
		switch {
		case !there:
			missing[name] = enums.IndexedValueType(enums.IndexedValueType_shorthandValue[kind])
		case have.String() != kind:
			return nil, fmt.Errorf("%s is there as %s and must be %s: another application uses the name; give Orderly a namespace of its own "+
				"(TEMPORAL_NAMESPACE)", name, have, kind)
		}
	}
	return missing, nil
}

// findable asks for sagas by each search attribute. A list of them comes from the server's database, while those who take sagas go
// by what they remember of the namespace, and refuse what they have not heard of for some seconds; so do queries.
func findable(ctx context.Context, c client.Client, namespace string) error {
	var named []string
	for _, name := range slices.Sorted(maps.Keys(workflows.SearchAttributes())) {
		named = append(named, name+" IS NOT NULL")
	}
	_, err := c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: namespace, PageSize: 1, Query: strings.Join(named, " AND "),
	})
	return err
}

// searchable is findable where we may ask.
func searchable(ctx context.Context, c client.Client, namespace string) error {
	if err := findable(ctx, c, namespace); !forbidden(err) {
		return err
	}
	return nil
}

// permitted turns a right we lack into a word about it.
func permitted(err error, say func(string), what string) error {
	if forbidden(err) {
		say("Temporal does not permit us to " + what + ": " + err.Error())
		return nil
	}
	return err
}

// forbidden reports that the server does not let us ask, or keeps what we ask for to itself.
func forbidden(err error) bool {
	var denied *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	return errors.As(err, &denied) || errors.As(err, &unimplemented)
}

// keepTrying tries every half second until it works, or namespacePatience is over.
func keepTrying(ctx context.Context, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, namespacePatience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
