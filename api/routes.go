package api

import (
	"github.com/gin-gonic/gin"
)

// role is who may ask for a route.
type role string

const (
	// stranger needs no session.
	stranger role = "stranger"
	// customer needs the session of a customer.
	customer role = "customer"
)

// route is one entry of the table of routes.
type route struct {
	method, path string
	// may is the least role that may ask for it.
	may   role
	serve func(a *API, c *gin.Context, who login) error
}

// routes is the table of routes of the customers' port, health and metrics apart. The contract's test holds the document against it.
var routes = []route{
	{"POST", "/v1/users", stranger, (*API).register},
	{"POST", "/v1/sessions", stranger, (*API).login},
	{"GET", "/v1/sessions", customer, (*API).sessions},
	{"DELETE", "/v1/sessions", customer, (*API).logoutEverywhere},
	{"DELETE", "/v1/sessions/current", customer, (*API).logout},
	{"DELETE", "/v1/sessions/:id", customer, (*API).endSession},
	{"GET", "/v1/users/me", customer, (*API).me},
	{"PATCH", "/v1/users/me", customer, (*API).changeProfile},
	{"DELETE", "/v1/users/me", customer, (*API).deleteAccount},
	{"PUT", "/v1/users/me/password", customer, (*API).changePassword},
	{"GET", "/v1/products", stranger, (*API).products},
	{"POST", "/v1/orders", customer, (*API).placeOrder},
	{"GET", "/v1/orders", customer, (*API).listOrders},
	{"GET", "/v1/orders/:id", customer, (*API).showOrder},
	{"GET", "/openapi.yaml", stranger, (*API).openapi},
	{"GET", "/problems/:code", stranger, (*API).problemPage},
}

func (a *API) addRoutes() {
	for _, r := range routes {
		a.engine.Handle(r.method, r.path, a.handle(a.limitRequests(a.asked(r))))
	}
}

// asked lets through those who may ask for the route.
func (a *API) asked(r route) func(c *gin.Context) error {
	return func(c *gin.Context) error {
		var who login
		if r.may != stranger {
			var err error
			if who, err = a.signedIn(c); err != nil {
				return err
			}
			exchangeOf(c).by(who.userID)
		}
		return r.serve(a, c, who)
	}
}
