package api

import (
	"context"
	_ "embed"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// checkPatience bounds one look at one dependency.
const checkPatience = time.Second

// Check is a look at something the process depends on.
type Check struct {
	Name string
	// Ping returns nil when it answers.
	Ping func(ctx context.Context) error
}

type checkBody struct {
	Name     string `json:"name"`
	Up       bool   `json:"up"`
	Required bool   `json:"required"`
}

type healthBody struct {
	Status string `json:"status"`
}

type readyBody struct {
	Status string      `json:"status"`
	Checks []checkBody `json:"checks"`
}

func healthz(c *gin.Context) error { return answerJSON(c, http.StatusOK, healthBody{"ok"}) }

func (a *API) readyz(c *gin.Context) error {
	all := append(append([]Check{}, a.cfg.Ready...), a.cfg.Degraded...)
	found := a.look(c.Request.Context(), all)
	status, word, checks := http.StatusOK, "ready", make([]checkBody, len(all))
	for i, check := range all {
		required := i < len(a.cfg.Ready)
		checks[i] = checkBody{Name: check.Name, Up: found[i] == nil, Required: required}
		switch {
		case found[i] == nil:
			continue
		case required:
			status, word = http.StatusServiceUnavailable, "unavailable"
		case word == "ready":
			word = "degraded"
		}
		a.log.Warn("a dependency is down", "name", check.Name, "required", required, "error", found[i])
	}
	if status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "1")
	}
	return answerJSON(c, status, readyBody{word, checks})
}

// look asks all at once, and waits for none of them longer than checkPatience, even if it does not heed its context.
func (a *API) look(ctx context.Context, checks []Check) []error {
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	answers := make([]chan error, len(checks))
	for i, check := range checks {
		answers[i] = make(chan error, 1)
		go func() { answers[i] <- check.Ping(ctx) }()
	}
	found := make([]error, len(checks))
	for i := range answers {
		select {
		case found[i] = <-answers[i]:
		case <-ctx.Done():
			select {
			case found[i] = <-answers[i]:
			default:
				found[i] = errors.New("no answer in time")
			}
		}
	}
	return found
}

//go:embed openapi.yaml
var document []byte

func (a *API) openapi(c *gin.Context, _ login) error {
	writeKept(c, keptForMinutes, "application/yaml", document)
	return nil
}
