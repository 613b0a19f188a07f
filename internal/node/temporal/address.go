package temporal

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/grpc/resolver"
)

// checkAddress takes host:port, and every name that gRPC has a resolver for, such as dns:///host:port.
func checkAddress(value string) error {
	if isHostPort(value) {
		return nil
	}
	malformed := func(why string) error {
		return fmt.Errorf("TEMPORAL_ADDRESS is malformed: %q %s. Name a port, too: temporal:7233, [::1]:7233 or dns:///temporal:7233", value, why)
	}
	scheme, rest, found := strings.Cut(value, ":")
	switch {
	case !found || net.ParseIP(value) != nil:
		return malformed("is not host:port")
	case resolver.Get(scheme) == nil:
		return malformed("is neither host:port nor a name of a kind that Temporal's client can resolve")
	case scheme != "dns" && scheme != "passthrough":
		return nil
	}
	if authority, named := strings.CutPrefix(rest, "//"); named {
		_, rest, _ = strings.Cut(authority, "/")
	}
	if !isHostPort(rest) {
		return malformed("has no port")
	}
	return nil
}

func isHostPort(value string) bool {
	host, port, err := net.SplitHostPort(value)
	if err != nil || strings.Contains(host, "/") {
		return false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}
