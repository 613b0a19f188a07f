package node

import (
	"example.com/orderly/api"
	"example.com/orderly/api/operator"
	"example.com/orderly/internal/source"
)

// openDoors puts behind each HTTP port what answers there.
func (n *Node) openDoors() {
	cfg := n.edge()
	if n.health != nil {
		n.health.door.Open(api.NewHealth(cfg))
		cfg.HealthElsewhere = true
	}
	if n.front == nil && n.desk == nil {
		return
	}
	cfg.Limits, cfg.Limiter = n.limits(), n.limiter()
	if n.front != nil {
		n.front.door.Open(n.api(cfg))
	}
	if n.desk != nil {
		n.desk.door.Open(operator.New(operator.Config{Operators: n.operators, Edge: cfg}))
	}
}

// edge is what each port needs, and the health of this process.
func (n *Node) edge() api.Config {
	cfg := api.Config{Registerer: n.metrics, Gatherer: n.metrics, Logger: n.log, Now: n.now}
	cfg.TrustedProxies, _ = source.ParseNetworks(n.cfg.TrustedProxies) // checked before
	for _, s := range n.roles.services() {
		st := n.stores[s.Name]
		required := n.roles.require(s)
		check := api.Check{Name: s.Name + " database", Ping: st.ping(required, n.system)}
		if required {
			cfg.Ready = append(cfg.Ready, check)
		} else {
			cfg.Degraded = append(cfg.Degraded, check)
		}
	}
	cfg.Degraded = append(cfg.Degraded, n.degraded()...)
	return cfg
}

// api is the customers' API.
func (n *Node) api(cfg api.Config) *api.API {
	cfg.PublicURL, cfg.CORSOrigins = n.cfg.PublicURL, n.cfg.CORSOrigins
	cfg.Orders, cfg.Stock, cfg.Users = n.orders, n.inventory, n.users
	cfg.Timeline, cfg.Mails = n.journal.Events, n.notifications.Mails
	cfg.CheckMethod = n.provider.gateway.Method
	cfg.StartSaga, cfg.AwaitEnd = n.sagas.starter.Enqueue, n.sagas.starter.Await
	return api.New(cfg)
}

// degraded are the parts that this process can do without for a while, databases apart.
func (n *Node) degraded() []api.Check {
	var checks []api.Check
	if n.sagas.connection != nil {
		checks = append(checks, api.Check{Name: "temporal", Ping: n.sagas.connection.Ping})
	}
	if n.cache != nil {
		checks = append(checks, api.Check{Name: "redis", Ping: n.users.Ping})
	}
	if n.provider != nil {
		checks = append(checks, api.Check{Name: "payment provider", Ping: onceAMinute(n.now, n.provider.ping)})
	}
	if st := n.stores["notifications"]; st != nil && st.runs {
		checks = append(checks, api.Check{Name: "mails", Ping: n.notifications.Ping})
	}
	if ping := n.messaging.ping(); ping != nil {
		checks = append(checks, api.Check{Name: "rabbitmq", Ping: ping})
	}
	return checks
}
