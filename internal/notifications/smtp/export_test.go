package smtp

import (
	"context"
	"crypto/x509"
	"net"
	"time"
)

// Through makes the server be at address instead of the host of its URL, trusting roots, with so much time per mail.
func Through(s *Server, address string, roots *x509.CertPool, timeout time.Duration) {
	s.timeout, s.roots = timeout, roots
	s.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}
