package node

import (
	"context"
	"errors"
	"fmt"
	"net"

	"example.com/orderly/api"
	"example.com/orderly/internal/node/lifecycle"
)

// front is one HTTP port of a process. It answers from the moment it is bound: 503 until its door is opened.
type front struct {
	name    string
	door    *api.Door
	serving lifecycle.Serving
	addr    net.Addr
}

// fronts are the HTTP ports of a process, in the order in which they begin to serve; they stop in the reverse order.
type fronts []*front

// openFront binds the port. setting is the variable that chooses another address.
func openFront(p process, name string, door *api.Door, setting, addr string) (*front, error) {
	listener, err := bind(p, setting, addr)
	if err != nil {
		return nil, err
	}
	f := &front{name: name, door: door, serving: lifecycle.Serve(door.Server(), door.Listener(listener)), addr: listener.Addr()}
	p.closers.Add(f.serving.Close)
	return f, nil
}

// parts serve the ports until they are stopped.
func (all fronts) parts() []lifecycle.Part {
	var parts []lifecycle.Part
	for _, f := range all {
		parts = append(parts, lifecycle.Part{Name: f.name, Run: func(ctx context.Context) error { return f.serving.UntilDone(ctx, nil) }})
	}
	return parts
}

// Port is an HTTP port of a process.
type Port struct {
	// For is what it is for: api, operator or health.
	For string
	// Addr is host:port as bound.
	Addr string
}

// Ports are the HTTP ports of this process.
func (n *Node) Ports() []Port {
	var ports []Port
	for _, f := range n.fronts {
		ports = append(ports, Port{For: f.name, Addr: f.addr.String()})
	}
	return ports
}

func bind(p process, setting, addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s (%w); choose another address with %s", addr, err, setting)
	}
	p.closers.Add(func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return listener, nil
}
