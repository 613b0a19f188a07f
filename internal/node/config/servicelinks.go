package config

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// dropServiceLinks sets the ports that hold a Kubernetes service link back to their default, and returns a line about each.
func (c *Config) dropServiceLinks() (notes []string) {
	for _, p := range c.ports() {
		if !isServiceLink(p.name, *p.value) {
			continue
		}
		notes = append(notes, fmt.Sprintf("%s=%s is not used: it is the link to a Kubernetes Service, and not a port of ours. Set "+
			"enableServiceLinks: false for the pod, or the variable to a port.", p.name, *p.value))
		*p.value = p.byDefault
	}
	return notes
}

type port struct {
	name      string
	value     *string
	byDefault string
}

// ports are the settings whose names a Service can make: that of the Service orderly-temporal is ORDERLY_TEMPORAL_PORT.
func (c *Config) ports() []port {
	return []port{
		{"ORDERLY_TEMPORAL_PORT", &c.TemporalPort, "7233"}, {"ORDERLY_TEMPORAL_UI_PORT", &c.TemporalUIPort, "8233"},
	}
}

// isServiceLink reports whether Kubernetes set the variable in every pod, and no person. Its value then is <protocol>://<IP>:<port> with
// the address of a Service, which is that of <NAME>_SERVICE_HOST where this one is set.
func isServiceLink(name, value string) bool {
	scheme, address, found := strings.Cut(value, "://")
	if !found || scheme != "tcp" && scheme != "udp" && scheme != "sctp" {
		return false
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr().IsLoopback() || at.Addr().IsUnspecified() {
		return false
	}
	host := os.Getenv(strings.TrimSuffix(name, "_PORT") + "_SERVICE_HOST")
	return host == "" || host == at.Addr().String()
}
