package rabbit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/testenv"
)

const patience = 60 * time.Second

// world is a part of the broker that no other test uses: everything in it has its prefix and is removed when the test ends.
type world struct {
	t   testing.TB
	cfg rabbit.Config
	log *lockedBuffer
	dir string
}

func newWorld(t testing.TB, listeners ...string) *world {
	t.Helper()
	w := &world{t: t, log: &lockedBuffer{}, dir: t.TempDir()}
	w.cfg = rabbit.Config{
		URL: brokerURL(t), Prefix: "orderly_test_" + strings.ToLower(rand.Text()[:12]), Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	plain := w.cfg // the test may send its own through a proxy
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var all []listen.Subscription
		for _, name := range listeners {
			all = append(all, listen.Subscription{Name: name})
		}
		require.NoError(t, rabbit.Remove(ctx, plain, all...))
	})
	return w
}

func brokerURL(t testing.TB) string {
	t.Helper()
	at := os.Getenv("RABBITMQ_URL")
	if at == "" {
		testenv.Missing(t, "RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")
	}
	return at
}

// proxied sends everything after it through a proxy.
func (w *world) proxied() *proxy {
	w.t.Helper()
	at, err := url.Parse(w.cfg.URL)
	require.NoError(w.t, err)
	p := newProxy(w.t, at.Host)
	at.Host = p.listener.Addr().String()
	w.cfg.URL = at.String()
	return p
}

func (w *world) publisher(subscriptions ...listen.Subscription) *rabbit.Publisher {
	w.t.Helper()
	p, err := rabbit.NewPublisher(w.cfg, subscriptions...)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, p.Close()) })
	return p
}

// send publishes each message until it is confirmed, as the relay does. It may be called from any goroutine.
func (w *world) send(p *rabbit.Publisher, messages ...listen.Message) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); len(messages) > 0; {
		ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
		results := p.Publish(ctx, messages)
		cancel()
		var left []listen.Message
		for i, err := range results {
			if err != nil {
				if time.Now().After(deadline) {
					w.t.Errorf("still not published: %v", err)
					return
				}
				left = append(left, messages[i])
			}
		}
		messages = left
	}
}

// inbox is the inbox of these listeners in the database file of this name; opened twice, it stands for two processes.
func (w *world) inbox(file string, listeners ...listen.Listener) (*listen.Inbox, *sql.DB) {
	w.t.Helper()
	pool, err := listen.OpenSQLite(filepath.Join(w.dir, file))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, pool.Close()) })
	return w.open(pool, listen.SQLite, listeners...), pool
}

func (w *world) open(pool *sql.DB, engine string, listeners ...listen.Listener) *listen.Inbox {
	w.t.Helper()
	inbox, err := listen.Open(w.t.Context(), pool, engine, listeners, listen.Options{
		Poll: 5 * time.Millisecond, Schedule: []time.Duration{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	require.NoError(w.t, err)
	require.NoError(w.t, inbox.Migrate(w.t.Context()))
	return inbox
}

func start(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return stop
}

func (w *world) consume(inboxes ...*listen.Inbox) (stop func(), c *rabbit.Consumer) {
	w.t.Helper()
	c, err := rabbit.NewConsumer(w.cfg, inboxes...)
	require.NoError(w.t, err)
	return start(w.t, c.Run), c
}

func (w *world) eventually(condition func() bool, what string, args ...any) {
	w.t.Helper()
	require.Eventuallyf(w.t, condition, patience, 5*time.Millisecond, what, args...)
}

func (w *world) logs(text string) func() bool {
	return func() bool { return strings.Contains(w.log.String(), text) }
}

// channel is a plain client's, to look at the broker from outside.
func (w *world) channel() *amqp.Channel {
	w.t.Helper()
	conn, err := amqp.Dial(brokerURL(w.t))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	require.NoError(w.t, err)
	return ch
}

// ready counts what waits in a queue of this world and is not with a consumer.
func (w *world) ready(ch *amqp.Channel, queue string) int {
	w.t.Helper()
	q, err := ch.QueueDeclarePassive(w.cfg.Prefix+"."+queue, true, false, false, false, nil)
	require.NoError(w.t, err)
	return q.Messages
}

// take receives one message from a queue of this world and leaves it to the caller to acknowledge it.
func (w *world) take(ch *amqp.Channel, queue string) amqp.Delivery {
	w.t.Helper()
	deliveries, err := ch.Consume(w.cfg.Prefix+"."+queue, "", false, false, false, false, nil)
	require.NoError(w.t, err)
	select {
	case d := <-deliveries:
		return d
	case <-time.After(patience):
		w.t.Fatalf("nothing comes from the queue of %s", queue)
		return amqp.Delivery{}
	}
}

// recorder is a listener that remembers what it has applied.
type recorder struct {
	listen.Listener
	lock    sync.Mutex
	applied map[string][]int64
	count   int
}

func newRecorder(name string, types ...string) *recorder {
	r := &recorder{applied: map[string][]int64{}}
	r.Listener = listen.Listener{Subscription: listen.Subscription{Name: name, Types: types}, Apply: func(_ context.Context, _ *sqlx.Tx, e events.Event) error {
		r.lock.Lock()
		defer r.lock.Unlock()
		r.applied[e.Subject] = append(r.applied[e.Subject], e.Sequence)
		r.count++
		return nil
	}}
	return r
}

func (r *recorder) total() int {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.count
}

// complete waits until every subject has been applied up to its last event, and checks that this was once each and in order.
func (r *recorder) complete(w *world, subjects []string, upTo int64) {
	w.t.Helper()
	w.eventually(func() bool { return r.total() >= len(subjects)*int(upTo) }, "everything to be applied")
	var want []int64
	for sequence := int64(1); sequence <= upTo; sequence++ {
		want = append(want, sequence)
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, subject := range subjects {
		require.Equal(w.t, want, r.applied[subject], "subject %s", subject)
	}
}

// about makes the events from one sequence to another about a subject: of the type resumed, every fifth parked.
func about(subject string, from, to int64) []listen.Message {
	var list []listen.Message
	for sequence := from; sequence <= to; sequence++ {
		var payload events.Payload = events.OrderResumed{OrderID: subject, Step: "capture"}
		if sequence%5 == 0 {
			payload = events.OrderParked{OrderID: subject}
		}
		event, err := events.New("orders", subject, sequence, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), payload)
		if err != nil {
			panic(err)
		}
		message, err := listen.Encode(event)
		if err != nil {
			panic(err)
		}
		list = append(list, message)
	}
	return list
}

type lockedBuffer struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.String()
}
