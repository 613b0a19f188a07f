package node

import (
	"errors"
	"fmt"
	"net"

	"example.com/orderly/api"
	"example.com/orderly/internal/node/lifecycle"
)

// front is the HTTP port of a process. It answers from the moment it is bound: alive, but not ready until the door is opened.
type front struct {
	door    *api.Door
	serving lifecycle.Serving
	addr    net.Addr
}

// openFront binds the port. setting is the variable that chooses another address.
func openFront(p process, setting, addr string) (*front, error) {
	listener, err := bind(p, setting, addr)
	if err != nil {
		return nil, err
	}
	door := api.NewDoor(p.log)
	f := &front{door: door, serving: lifecycle.Serve(door.Server(), listener), addr: listener.Addr()}
	p.closers.Add(f.serving.Close)
	return f, nil
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
