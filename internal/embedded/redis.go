package embedded

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// Redis is a Redis server in this process. It keeps nothing on disk: it is only used as a cache.
type Redis struct {
	server *miniredis.Miniredis
	addr   string
}

// StartRedis listens on a free port of the loopback interface.
func StartRedis() (*Redis, error) {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start the embedded redis: %w", err)
	}
	// Without this a key with a time to live stays for ever.
	server.ClockTTL(true)
	return &Redis{server: server, addr: server.Addr()}, nil
}

// Addr is host:port. It stays the same after Stop.
func (r *Redis) Addr() string { return r.addr }

// Stop closes the listener and every connection. Safe to call more than once.
func (r *Redis) Stop() { r.server.Close() }
