// Package searchattr registers search attributes in a namespace of Temporal, and finds out when the server knows them everywhere.
package searchattr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// TakenError says that an attribute is registered with another type.
type TakenError struct {
	Name       string
	Have, Want enums.IndexedValueType
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("search attribute %s is registered as %s, not as %s", e.Name, e.Have, e.Want)
}

// Missing are those of the wanted attributes, name to Temporal's name of the type, that the namespace does not have.
func Missing(ctx context.Context, c client.Client, namespace string, wanted map[string]string) (map[string]enums.IndexedValueType, error) {
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, err
	}
	missing := map[string]enums.IndexedValueType{}
	for name, kind := range wanted {
		want, err := enums.IndexedValueTypeFromString(kind)
		if err != nil {
			return nil, fmt.Errorf("search attribute %s: %w", name, err)
		}
		have, ok := listed.GetCustomAttributes()[name]
		if !ok {
			missing[name] = want
		} else if have != want {
			return nil, &TakenError{name, have, want}
		}
	}
	return missing, nil
}

// Add registers the attributes. It succeeds where another process has just done so.
func Add(ctx context.Context, c client.Client, namespace string, missing map[string]enums.IndexedValueType) error {
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	if errors.As(err, new(*serviceerror.AlreadyExists)) {
		return nil
	}
	return err
}

// Query asks for workflows by each attribute. The list of attributes comes from the server's database, while starts and queries go by a
// cache and refuse a new attribute for some seconds: a query that succeeds shows that the cache has it.
func Query(ctx context.Context, c client.Client, namespace string, wanted map[string]string) error {
	var named []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		named = append(named, name+" IS NOT NULL")
	}
	_, err := c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: namespace, PageSize: 1, Query: strings.Join(named, " AND "),
	})
	return err
}
