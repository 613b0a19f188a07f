package operator

import "github.com/gin-gonic/gin"

// Role is who may ask for a route. Each may also ask for what those before it may.
type Role int

const (
	// Stranger needs no session.
	Stranger Role = iota
	// Halfway needs a session that was opened with a password. It may lack the second factor.
	Halfway
	// Operator needs a session with the second factor.
	Operator
	// Admin needs such a session of an operator with the role admin.
	Admin
)

// route is one entry of the table of routes.
type route struct {
	method, path string
	// may is the least role that may ask for it.
	may   Role
	serve func(p *port, c *gin.Context, who login) error
}

// routes is the table of routes of the operators' port. The contract's test holds the document against it, and the walk of rights goes through
// it.
var routes = []route{
	{"POST", "/operator/v1/sessions", Stranger, (*port).login},
	{"POST", "/operator/v1/sessions/current/second-factor", Halfway, (*port).secondFactor},
	{"DELETE", "/operator/v1/sessions/current", Halfway, (*port).logout},
	{"POST", "/operator/v1/enrolment", Halfway, (*port).beginEnrolment},
	{"POST", "/operator/v1/enrolment/confirmation", Halfway, (*port).enrol},
	{"GET", "/operator/v1/me", Operator, (*port).me},
	{"GET", "/operator/v1/operators", Admin, (*port).list},
	{"DELETE", "/operator/v1/operators/:id", Admin, (*port).remove},
	{"GET", "/openapi.yaml", Stranger, (*port).openapi},
	{"GET", "/problems/:code", Stranger, (*port).problemPage},
}

// Right is who may ask for a route.
type Right struct {
	Method, Path string // with gin's notation of parameters
	Least        Role
}

// Rights are the routes of the operators' port, with the least role that may ask for each.
func Rights() []Right {
	var all []Right
	for _, r := range routes {
		all = append(all, Right{r.method, r.path, r.may})
	}
	return all
}
