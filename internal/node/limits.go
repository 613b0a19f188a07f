package node

import (
	"example.com/orderly/api"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/source"
)

// limitPrefix is how the keys of limits begin in Redis.
func (p process) limitPrefix() string { return redisPrefix(p.cfg) + ":limits:" }

// limits are the settings, which were checked before. Under develop requests from this machine meet none.
func (p process) limits() api.Limits {
	rate := func(text string) limit.Rate {
		r, _ := limit.ParseRate(text)
		return r
	}
	var loopback source.Networks
	if p.develop {
		loopback, _ = source.ParseNetworks("127.0.0.1,::1")
	}
	l := api.Limits{
		Requests: rate(p.cfg.LimitRequests), Logins: rate(p.cfg.LimitLogins), FailedLogins: rate(p.cfg.LimitFailedLogins),
		WrongPasswords: rate(p.cfg.LimitWrongPasswords), Registrations: rate(p.cfg.LimitRegistrations), Orders: rate(p.cfg.LimitOrders),
	}
	l.OpenOrders, _ = p.cfg.OpenOrders()
	l.Exempt, _ = p.cfg.Exempt(loopback)
	return l
}

// limiter counts in the Redis of the cache, where its entries are ours. One that is embedded no other process asks, and memory is faster.
func (n *Node) limiter() *limit.Limiter {
	o := limit.Options{Registerer: n.metrics, Log: n.log, Now: n.now}
	if n.cfg.RedisURL != "" {
		o.Redis = limit.NewRedis(n.cache, n.limitPrefix(), n.users.Claimed)
	}
	return limit.New(o)
}
