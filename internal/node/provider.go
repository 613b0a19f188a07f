package node

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/stripe"
	"example.com/orderly/internal/sandbox"
)

// sandboxKey is the API key that our gateway sends to a sandbox, which accepts any test key and moves no money.
const sandboxKey = "sk_test_orderly"

// provider is the payment provider: the gateway to it, and the sandbox where none outside is named.
type provider struct {
	gateway  payments.Gateway
	sandbox  *sandbox.Sandbox // nil where a provider outside is used
	listener net.Listener     // of the sandbox
}

func openProvider(ctx context.Context, p process) (_ *provider, err error) {
	pr := &provider{}
	at := stripe.Config{APIKey: p.cfg.StripeAPIKey, URL: p.cfg.StripeAPIURL}
	if p.cfg.EmbedsProvider() {
		if pr.listener, err = bind(p, "ORDERLY_SANDBOX_ADDR", p.cfg.SandboxAddr); err != nil {
			return nil, err
		}
		pr.sandbox, err = sandbox.Open(ctx, sandbox.Config{
			Dir: filepath.Join(p.cfg.Data, "sandbox"), Addr: p.cfg.SandboxAddr, Now: p.now, Logger: p.log,
		})
		if err != nil {
			return nil, err
		}
		p.closers.Add(pr.sandbox.Close)
		at.URL = "http://" + pr.sandboxAddr()
	}
	if at.APIKey == "" {
		at.APIKey = sandboxKey
	}
	if pr.gateway, err = stripe.New(at); err != nil {
		return nil, err
	}
	return pr, nil
}

// sandboxAddr is host:port of the sandbox; empty where a provider outside is used.
func (p *provider) sandboxAddr() string {
	if p == nil || p.listener == nil {
		return ""
	}
	return p.listener.Addr().String()
}

// serve runs the sandbox until ctx ends.
func (p *provider) serve(ctx context.Context) error {
	server := &http.Server{Handler: p.sandbox.Handler(), ReadHeaderTimeout: 5 * time.Second}
	return lifecycle.Serve(server, p.listener).UntilDone(ctx, p.sandbox.Close)
}

// ping asks the provider for a payment method. It succeeds on any answer, also on the one that there is no such method.
func (p *provider) ping(ctx context.Context) error {
	if err := p.gateway.Method(ctx, "pm_card_visa"); !fault.Final(err) {
		return err
	}
	return nil
}

// onceAMinute remembers the last answer for a minute: probes ask for readiness every few seconds, and the provider limits our requests.
func onceAMinute(now func() time.Time, ping func(ctx context.Context) error) func(ctx context.Context) error {
	var lock sync.Mutex
	var asked time.Time
	var last error
	return func(ctx context.Context) error {
		lock.Lock()
		defer lock.Unlock()
		if !asked.IsZero() && now().Sub(asked) < time.Minute {
			return last
		}
		err := ping(ctx)
		if ctx.Err() == nil { // an error because this caller left says nothing about the provider
			asked, last = now(), err
		}
		return err
	}
}
