package notifications

import (
	"context"
	"crypto/x509"
	"net"
	"time"
)

// Through makes the sender that SMTP returned connect to address instead of the host of its URL, trusting roots, with
// so much time per mail.
func Through(sender Sender, address string, roots *x509.CertPool, timeout time.Duration) {
	s := sender.(*server)
	s.timeout, s.roots = timeout, roots
	s.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}
