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

	"example.com/orderly/internal/measure"
	"example.com/orderly/internal/yardstick"
)

const (
	cachedRead  = "session check and cached profile"
	bareHandler = "bare gin handler, one Redis GET"

	readP50 = "to the answer, p50"
	readP99 = "to the answer, p99"
)

var readKinds = []measure.Kind{{Name: perSecond, Unit: "per second"}, {Name: readP50, Unit: "ms"}, {Name: readP99, Unit: "ms"}}

// readContestants read over HTTP: GET /v1/users/me of ours, which asks Redis for the session and then for the profile, and the same
// bytes from a bare handler, where there is one.
func (b *bench) readContestants(bare string) func(n int) []measure.Contestant {
	return func(n int) []measure.Contestant {
		contestants := []measure.Contestant{{Name: cachedRead, Run: func(ctx context.Context) (measure.Figures, error) {
			return b.read(ctx, n, func(i int) (url, token string) {
				s := b.shops[i%len(b.shops)]
				return s.API + "/v1/users/me", s.Token
			})
		}}}
		if bare != "" {
			contestants = append(contestants, measure.Contestant{Name: bareHandler, Run: func(ctx context.Context) (measure.Figures, error) {
				return b.read(ctx, n, func(int) (url, token string) { return bare, "" })
			}})
		}
		return contestants
	}
}

func (b *bench) read(ctx context.Context, n int, from func(i int) (url, token string)) (measure.Figures, error) {
	took := make([]time.Duration, n)
	began := time.Now()
	err := inParallel(ctx, b.concurrency, n, func(ctx context.Context, i int) error {
		url, token := from(i)
		began := time.Now()
		_, err := b.get(ctx, url, token)
		took[i] = time.Since(began)
		return err
	})
	return measure.Figures{
		perSecond: measure.PerSecond(n, time.Since(began)),
		readP50:   measure.Milliseconds(measure.Percentile(took, 50)), readP99: measure.Milliseconds(measure.Percentile(took, 99)),
	}, err
}

func (b *bench) get(ctx context.Context, url, token string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := b.shops[0].HTTP.Do(request)
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

// openBareHandler serves the bare handler on this machine, over the Redis server of these options with the library's own settings.
func (b *bench) openBareHandler(ctx context.Context, of *redis.Options) (url string, closed func() error, err error) {
	rdb := redis.NewClient(&redis.Options{
		Network: of.Network, Addr: of.Addr, Username: of.Username, Password: of.Password, DB: of.DB, TLSConfig: of.TLSConfig,
	})
	key := "orderly:bench:" + b.name
	body, err := b.get(ctx, b.shops[0].API+"/v1/users/me", b.shops[0].Token)
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
	server := &http.Server{Handler: yardstick.NewHandler(rdb, key), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	return "http://" + listener.Addr().String() + "/", func() error {
		return errors.Join(server.Close(), rdb.Del(context.WithoutCancel(ctx), key).Err(), rdb.Close())
	}, nil
}
