package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/orderly/cmd/orderly-bench/baseline"
)

// readBenchmarks read over HTTP: GET /v1/users/me, which asks Redis for the session and then for the profile, and the same bytes from a
// bare handler.
func (b *bench) readBenchmarks(ctx context.Context) (all []benchmark, closeHandler func() error, err error) {
	bare, closeHandler, err := b.openBareHandler(ctx)
	if err != nil {
		return nil, nil, err
	}
	return []benchmark{
		{"Reads/session-and-profile", b.reads, func(ctx context.Context, n int) (result, error) {
			return b.read(ctx, n, func(i int) (url, token string) {
				c := b.clients[i%len(b.clients)]
				return c.API + "/v1/users/me", c.Token
			})
		}},
		{"Reads/bare-handler", b.reads, func(ctx context.Context, n int) (result, error) {
			return b.read(ctx, n, func(int) (url, token string) { return bare, "" })
		}},
	}, closeHandler, nil
}

func (b *bench) read(ctx context.Context, n int, from func(i int) (url, token string)) (result, error) {
	took := make([]time.Duration, n)
	began := time.Now()
	err := inParallel(ctx, b.concurrency, n, func(ctx context.Context, i int) error {
		url, token := from(i)
		began := time.Now()
		_, err := b.get(ctx, url, token)
		took[i] = time.Since(began)
		return err
	})
	return result{time.Since(began), latencies("answer", took)}, err
}

func (b *bench) get(ctx context.Context, url, token string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := b.clients[0].HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s %s", url, response.Status, body)
	}
	return body, err
}

// openBareHandler serves the bare handler on this machine, over the Redis server of the cache with the library's own settings.
func (b *bench) openBareHandler(ctx context.Context) (url string, closed func() error, err error) {
	one, is := b.node.Cache.(interface{ Options() *redis.Options })
	if !is {
		return "", nil, errors.New("REDIS_URL: the bare handler reads from one server, and not from a cluster")
	}
	of := one.Options()
	rdb := redis.NewClient(&redis.Options{
		Network: of.Network, Addr: of.Addr, Username: of.Username, Password: of.Password, DB: of.DB, TLSConfig: of.TLSConfig,
	})
	key := "orderly:bench:" + b.sys.name
	body, err := b.get(ctx, b.clients[0].API+"/v1/users/me", b.clients[0].Token)
	if err == nil {
		err = rdb.Set(ctx, key, body, time.Hour).Err()
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("give Redis what the bare handler answers: %w", err), rdb.Close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, errors.Join(err, rdb.Close())
	}
	server := &http.Server{Handler: baseline.NewHandler(rdb, key), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	return "http://" + listener.Addr().String() + "/", func() error {
		return errors.Join(server.Close(), rdb.Del(context.WithoutCancel(ctx), key).Err(), rdb.Close())
	}, nil
}
