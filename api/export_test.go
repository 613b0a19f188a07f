package api

// Routes are "METHOD path" of every route, with gin's own notation of parameters.
func (a *API) Routes() []string {
	var routes []string
	for _, r := range a.engine.Routes() {
		routes = append(routes, r.Method+" "+r.Path)
	}
	return routes
}
