package source

import (
	"net/http"
	"net/netip"
	"strings"
)

// OfRequest is the source of a request with these headers, which came over a connection from peer (host:port). Headers are believed of a peer
// that is one of the proxies, and only as far as proxies have written them: each appends the address that it was called from, so they are
// read from the right, up to the first address that is no proxy. What cannot be read ends the walk at the latest address that was.
func OfRequest(peer string, h http.Header, proxies Networks) string {
	at, ok := parseHop(peer)
	if !ok {
		return Unknown
	}
	listed, standard := elements(h, "X-Forwarded-For"), elements(h, "Forwarded")
	byList, byStandard := proxies.walk(at, listed, parseHop), proxies.walk(at, standard, parseForwarded)
	switch {
	case len(standard) == 0:
		return named(byList)
	case len(listed) == 0 || byList == byStandard:
		return named(byStandard)
	}
	// A proxy that writes one of the two leaves the other as the client sent it, and nothing says which. It is not the proxy's own request,
	// either, which may be exempt from limits.
	return Unknown
}

// walk goes from the peer at towards the client, as long as it stands at a proxy.
func (n Networks) walk(at netip.Addr, hops []string, parse func(string) (netip.Addr, bool)) netip.Addr {
	for i := len(hops) - 1; i >= 0 && n.Contain(at); i-- {
		next, ok := parse(hops[i])
		if !ok {
			break
		}
		at = next
	}
	return at
}

// elements are the elements of a header that is a list, over all its lines.
func elements(h http.Header, name string) []string {
	if len(h.Values(name)) == 0 {
		return nil
	}
	return strings.Split(strings.Join(h.Values(name), ","), ",")
}

// parseHop reads an address, with a port or without: some proxies write one into X-Forwarded-For.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.Trim(text, " \t")
	if with, err := netip.ParseAddrPort(text); err == nil {
		return plain(with.Addr()), true
	}
	if inner, bracketed := strings.CutPrefix(text, "["); bracketed {
		var closed bool
		if text, closed = strings.CutSuffix(inner, "]"); !closed || !strings.Contains(text, ":") {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(text)
	return plain(addr), err == nil
}

// parseForwarded reads the one "for" of an element of Forwarded (RFC 7239, section 4). Elements are split at every comma, also inside of quotes:
// no address has one, and a quote that a client left open would otherwise swallow what the proxy wrote after it. So each parameter must be
// well-formed by itself; "unknown" and names that hide an address are none.
func parseForwarded(element string) (addr netip.Addr, ok bool) {
	for parameter := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.Trim(parameter, " \t"), "=")
		if inner, quoted := strings.CutPrefix(value, `"`); quoted {
			var closed bool
			if value, closed = strings.CutSuffix(inner, `"`); !closed {
				return netip.Addr{}, false
			}
		}
		if name == "" || value == "" || strings.ContainsAny(value, `"\`) {
			return netip.Addr{}, false
		}
		if !strings.EqualFold(name, "for") {
			continue
		}
		if ok { // a second one
			return netip.Addr{}, false
		}
		if addr, ok = parseHop(value); !ok {
			return netip.Addr{}, false
		}
	}
	return addr, ok
}
