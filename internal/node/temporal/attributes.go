package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/searchattr"
	"example.com/orderly/workflows"
)

// knowsSearchAttributes reports whether sagas can be started with our search attributes: an unknown one would make every start fail. The
// answer holds for the life of the process, so it waits for a server that does not answer. A server that does not permit these questions
// may still permit starts, so sagas then run without search attributes.
func knowsSearchAttributes(ctx context.Context, c client.Client, options client.Options, say func(string)) (knows bool, err error) {
	err = lifecycle.WaitFor(ctx, say, "Temporal's namespace at "+options.HostPort+" (TEMPORAL_ADDRESS)", func(ctx context.Context) error {
		err := haveSearchAttributes(ctx, c, options.Namespace)
		if passes(err) {
			return away(err)
		}
		return err
	})
	denied := new(serviceerror.PermissionDenied)
	switch refused := refusal(err, options); {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case refused != nil && !errors.As(err, &denied):
		return false, refused
	}
	say("Sagas run without search attributes: Temporal's namespace (TEMPORAL_NAMESPACE) does not have ours. Run orderly migrate to " +
		"register them, then start this process again. (" + err.Error() + ")")
	return false, nil
}

// registerSearchAttributes registers what is missing, and returns once the server accepts sagas that use it. It retries because the server
// refuses all but one of several processes that register at once.
func registerSearchAttributes(ctx context.Context, c client.Client, namespace string, say func(string)) error {
	var final error // one that trying again does not mend
	err := keepTrying(ctx, func(ctx context.Context) error {
		missing, err := missingSearchAttributes(ctx, c, namespace)
		if unknown := new(serviceerror.NamespaceNotFound); errors.As(err, &unknown) || passes(err) {
			return err // another process has just made the namespace and not every part of the server knows it; or the server is busy
		}
		if err != nil {
			final = tolerateForbidden(err, say, "look at the search attributes")
			return nil
		}
		if len(missing) == 0 {
			return checkSearchable(ctx, c, namespace)
		}
		if err = searchattr.Add(ctx, c, namespace, missing); err == nil {
			say("Registered the search attributes " + strings.Join(slices.Sorted(maps.Keys(missing)), ", ") + ".")
			return checkSearchable(ctx, c, namespace)
		}
		if tolerateForbidden(err, say, "register the search attributes") == nil {
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
		// Temporal Cloud does not show that list. A query by the attributes succeeds only if they are registered.
		return searchattr.Query(ctx, c, namespace, workflows.SearchAttributes())
	case err == nil && len(missing) > 0:
		return fmt.Errorf("it lacks %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return err
}

// missingSearchAttributes returns those of our search attributes that the namespace does not have.
func missingSearchAttributes(ctx context.Context, c client.Client, namespace string) (map[string]enums.IndexedValueType, error) {
	missing, err := searchattr.Missing(ctx, c, namespace, workflows.SearchAttributes())
	if errors.As(err, new(*searchattr.TakenError)) {
		err = fmt.Errorf("%w: another application uses the name; give Orderly a namespace of its own (TEMPORAL_NAMESPACE)", err)
	}
	return missing, err
}

// checkSearchable is nil where queries, and so starts, know our search attributes, or where we may not query.
func checkSearchable(ctx context.Context, c client.Client, namespace string) error {
	if err := searchattr.Query(ctx, c, namespace, workflows.SearchAttributes()); !forbidden(err) {
		return err
	}
	return nil
}
