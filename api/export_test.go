package api

import (
	"context"

	"example.com/orderly/internal/fault"
)

// StatusOf is the status of a failure of this kind.
func StatusOf(kind fault.Kind) int {
	return failureOf(context.Background(), fault.New(kind, "some_code", "because")).status
}

// Routes are "METHOD path" of every route, with gin's own notation of parameters.
func (a *API) Routes() []string {
	var routes []string
	for _, r := range a.engine.Routes() {
		routes = append(routes, r.Method+" "+r.Path)
	}
	return routes
}

// ProblemTypes is the status of each code in the table of codes.
func ProblemTypes() map[string]int {
	statuses := map[string]int{}
	for _, p := range problemTypes {
		statuses[p.code] = p.status
	}
	return statuses
}

// LimitCodes are the codes of refusals by limits.
func LimitCodes() []string {
	var codes []string
	for _, l := range limits {
		codes = append(codes, limitCodePrefix+l.name)
	}
	return codes
}

// Right is who may ask for a route of the customers' port.
type Right struct{ Method, Path, Least string }

// Rights are the table of routes.
func Rights() []Right {
	var all []Right
	for _, r := range routes {
		all = append(all, Right{r.method, r.path, string(r.may)})
	}
	return all
}
