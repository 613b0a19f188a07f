package node

import (
	"fmt"
	"slices"
	"strings"

	"example.com/orderly/internal/node/config"
)

// Roles are the roles of one process.
type Roles []Role

// AllRoles returns every role, in the order of the table.
func AllRoles() Roles { return slices.Clone(roles) }

// RolesNamed finds the roles; "all" is every one of them.
func RolesNamed(names []string) (Roles, error) {
	if slices.Equal(names, []string{"all"}) {
		return AllRoles(), nil
	}
	for _, name := range names {
		if !roles.Has(name) {
			return nil, fmt.Errorf("there is no role %q: there are %s, and all", name, strings.Join(roles.Names(), ", "))
		}
	}
	return slices.DeleteFunc(AllRoles(), func(r Role) bool { return !slices.Contains(names, r.Name) }), nil
}

// Names are the names of the roles.
func (of Roles) Names() []string {
	var names []string
	for _, r := range of {
		names = append(names, r.Name)
	}
	return names
}

// Has reports whether the role is among them.
func (of Roles) Has(name string) bool { return slices.Contains(of.Names(), name) }

// require reports that a process with these roles is of no use without the service's database.
func (of Roles) require(s Service) bool { return slices.ContainsFunc(of.Names(), s.requiredBy) }

// services are the services whose databases a process with these roles opens, in the order of the table.
func (of Roles) services() []Service {
	var used []Service
	for _, s := range Services {
		if slices.ContainsFunc(of.Names(), s.usedBy) {
			used = append(used, s)
		}
	}
	return used
}

// useTemporal reports whether one of the roles starts sagas or polls a task queue.
func (of Roles) useTemporal() bool {
	return of.Has("api") || slices.ContainsFunc(Services, func(s Service) bool { return s.Queue != "" && of.Has(s.Role) })
}

// useMessaging reports whether one of the roles announces events or listens to them.
func (of Roles) useMessaging() bool {
	return slices.ContainsFunc(Services, func(s Service) bool { return (s.Outbox || len(s.Listens) > 0) && of.Has(s.Role) })
}

// askProvider reports whether one of the roles asks the payment provider: the API for payment methods, payments for everything else.
func (of Roles) askProvider() bool { return of.Has("api") || of.Has("payments") }

// HealthAddr is where a process with these roles tells about its health, and the variable that says so. It may be the port of the API.
func (of Roles) HealthAddr(cfg config.Config) (setting, addr string) {
	switch {
	case cfg.HealthAddr != "":
		return "ORDERLY_HEALTH_ADDR", cfg.HealthAddr
	case of.Has("api"):
		return "ORDERLY_API_ADDR", cfg.APIAddr
	}
	return "ORDERLY_HEALTH_ADDR", of[0].health
}

// healthApart reports whether a process with these roles has a port for its health alone.
func (of Roles) healthApart(cfg config.Config) bool { return cfg.HealthAddr != "" || !of.Has("api") }

// embeddedDatabaseSetting is the variable to set so that the first database of these roles that is a file becomes another one; empty
// when none is a file.
func (of Roles) embeddedDatabaseSetting(cfg config.Config) (setting string) {
	var names []string
	for _, s := range of.services() {
		names = append(names, s.Name)
	}
	return cfg.EmbeddedDatabaseSetting(names)
}

// CheckServable reports what is missing to serve these roles. One process with every role can bring its own parts; several processes
// have to share them.
func (of Roles) CheckServable(cfg config.Config) error {
	command := "serve " + strings.Join(of.Names(), " ")
	missing := func(variable, why string) error { return fmt.Errorf("%s needs %s: %s", command, variable, why) }
	if len(of) < len(roles) {
		if cfg.Inline {
			return fmt.Errorf("%s can't be --inline: inline steps need every service in the process that runs the saga: serve all --inline", command)
		}
		if setting := of.embeddedDatabaseSetting(cfg); setting != "" {
			return missing(setting, "processes of different roles share their databases, such as postgres://user@host:5432/orderly")
		}
		if cfg.RabbitMQURL == "" && of.useMessaging() {
			return missing("RABBITMQ_URL", "events go from process to process through RabbitMQ, such as amqp://user:password@host:5672/")
		}
		if cfg.TemporalAddress == "" && of.useTemporal() {
			return missing("TEMPORAL_ADDRESS", "processes of different roles share a Temporal server, such as host:7233")
		}
	}
	if cfg.EmbedsProvider() && of.askProvider() {
		return missing("STRIPE_API_KEY or STRIPE_API_URL",
			"no money moves unless a provider is named: Stripe's key, or the address of a sandbox (orderly sandbox)")
	}
	return nil
}
