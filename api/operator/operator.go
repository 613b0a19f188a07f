// Package operator is the HTTP API for those who look after the system, on a port of its own. It says what a request looks like, and who may
// ask for what; the services decide everything else.
package operator

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"example.com/orderly/api"
	"example.com/orderly/internal/operators"
)

// Config is what the operators' API needs.
type Config struct {
	Operators *operators.Service
	// Edge is what every port needs: metrics, logger, clock, limits and time to answer.
	Edge api.Config
}

// port is the operators' API.
type port struct {
	edge      *api.API
	operators *operators.Service
}

// New returns the handler of the operators' port. It makes no call.
func New(cfg Config) *api.API {
	p := &port{edge: api.NewPort(cfg.Edge, problems), operators: cfg.Operators}
	for _, r := range routes {
		p.edge.Add(api.Route{Method: r.method, Path: r.path, Serve: p.asked(r)})
	}
	return p.edge
}

// login is who is asking; empty for a stranger.
type login struct {
	token   string
	session operators.Session
}

// asked lets through those who may ask for the route. Their rights are read from the database with each request.
func (p *port) asked(r route) func(c *gin.Context) error {
	return func(c *gin.Context) error {
		var who login
		if r.may != Stranger {
			var err error
			if who, err = p.signedIn(c); err != nil {
				return err
			}
			api.By(c, who.session.Operator.ID)
			if err := allow(r.may, roleOf(who.session)); err != nil {
				return err
			}
		}
		return r.serve(p, c, who)
	}
}

func (p *port) signedIn(c *gin.Context) (who login, err error) {
	who.token, err = api.Bearer(c, func(ctx context.Context, token string) (err error) {
		who.session, err = p.operators.Authenticate(ctx, token)
		return err
	})
	return who, err
}

func roleOf(session operators.Session) Role {
	switch {
	case !session.SecondFactor:
		return Halfway
	case session.Operator.Role == operators.RoleAdmin:
		return Admin
	}
	return Operator
}

// allow is 403 (RFC 9110, 15.5.4) for a session that is valid and not enough.
func allow(least, have Role) error {
	switch {
	case have >= least:
		return nil
	case have == Halfway:
		return api.Refuse(http.StatusForbidden, "second_factor_required", "give the second factor, or enrol, before anything else")
	}
	return api.Refuse(http.StatusForbidden, "admin_required", "only an admin may ask for this")
}
