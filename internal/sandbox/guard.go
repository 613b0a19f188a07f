package sandbox

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guard keeps web pages from the controls and the book, which ask for no key. A browser on this machine sends what a page of any site asks
// it to: with that page's Origin, or, once the page's own name leads to this machine (DNS rebinding), with that name in Host.
func (s *Sandbox) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open := strings.HasPrefix(r.URL.Path, "/v1/") || r.URL.Path == "/healthz"
		switch {
		case open:
		case !s.answersTo(r.Host):
			forbid(w, fmt.Sprintf("the sandbox is not asked by the name %q: ask it as localhost or by the address in ORDERLY_SANDBOX_ADDR", r.Host))
			return
		case !sameOrigin(r):
			forbid(w, "pages of other origins may not use the sandbox's controls")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answersTo reports whether host, with or without a port, is this machine or the address that the sandbox was started with. One that
// listens on every address is also asked by each of them, and by names without a dot, as containers have: no site has such a name.
func (s *Sandbox) answersTo(host string) bool {
	name := hostname(host)
	ip, err := netip.ParseAddr(name)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && ip.IsLoopback() {
		return true
	}
	if s.cfg.Addr == "" || name == "" {
		return false
	}
	own := hostname(s.cfg.Addr)
	listening, isIP := netip.ParseAddr(own)
	if everywhere := own == "" || isIP == nil && listening.IsUnspecified(); everywhere {
		return err == nil || !strings.Contains(name, ".")
	}
	return name == own
}

func hostname(hostport string) string {
	name, _, err := net.SplitHostPort(hostport)
	if err != nil {
		name = hostport
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
}

// sameOrigin also lets through what has no Origin: no page sends that with anything but what its own origin may read.
func sameOrigin(r *http.Request) bool {
	if len(r.Header.Values("Origin")) == 0 {
		return true
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && origin.Host == r.Host
}

func forbid(w http.ResponseWriter, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(encode(map[string]any{"type": "about:blank", "title": "Forbidden", "status": http.StatusForbidden, "detail": detail}))
}
