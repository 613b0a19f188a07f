package notifications_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/testenv"
)

var (
	happened = time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	start    = happened.Add(time.Hour)
)

// world is the notifications database and the customers that are known. Each service made on it stands for a process.
type world struct {
	t      *testing.T
	db     *database.DB
	log    *lines
	offset atomic.Int64
	// metrics are those of the services; nil for none.
	metrics *notifications.Metrics

	lock      sync.Mutex
	customers map[string]notifications.Address
	failing   error
}

func newWorld(t *testing.T, open testenv.Open) *world {
	t.Helper()
	return &world{
		t: t, db: open("notifications", notifications.Migrations()...), log: &lines{},
		customers: map[string]notifications.Address{"ada": {Email: "ada@example.com", Name: "Ada Lovelace"}},
	}
}

func onSQLite(t *testing.T) *world {
	t.Helper()
	return newWorld(t, func(service string, sets ...database.Migrations) *database.DB {
		return testenv.SQLite(t, service, sets...)
	})
}

func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) { test(t, newWorld(t, open)) })
}

func (w *world) now() time.Time { return start.Add(time.Duration(w.offset.Load())) }

func (w *world) lookUp(_ context.Context, id string) (notifications.Address, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.failing != nil {
		return notifications.Address{}, w.failing
	}
	address, known := w.customers[id]
	if !known {
		return notifications.Address{}, fault.New(fault.NotFound, "user_not_found", "there is no customer %s", id)
	}
	return address, nil
}

func (w *world) fail(err error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.failing = err
}

func (w *world) service(sender notifications.Sender) *notifications.Service {
	return w.serviceFrom("Mug & Ink <shop@example.com>", sender)
}

func (w *world) serviceFrom(address string, sender notifications.Sender) *notifications.Service {
	w.t.Helper()
	from, err := notifications.ParseFrom(address)
	require.NoError(w.t, err)
	return notifications.New(w.db, notifications.Options{
		Addresses: w.lookUp, Sender: sender, From: from, Now: w.now, Metrics: w.metrics, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
}

// run runs the listener in an inbox of the database until the test ends or stop is called, and gives it these events.
func (w *world) run(service *notifications.Service, given ...events.Event) (inbox *listen.Inbox, stop func()) {
	w.t.Helper()
	inbox, err := listen.Open(w.t.Context(), w.db.Pool(), string(w.db.Engine()), []listen.Listener{service.Listener()}, listen.Options{
		Now: w.now, Log: slog.New(slog.NewTextHandler(w.log, nil)), Poll: 5 * time.Millisecond,
	})
	require.NoError(w.t, err)
	w.store(inbox, given...)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- inbox.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-ended)
	})
	w.t.Cleanup(stop)
	return inbox, stop
}

func (w *world) store(inbox *listen.Inbox, given ...events.Event) {
	w.t.Helper()
	for _, event := range given {
		message, err := listen.Encode(event)
		require.NoError(w.t, err)
		require.NoError(w.t, inbox.Store(w.t.Context(), "notifications", []listen.Message{message}))
	}
}

// reaches waits until the event is in this state after so many failures, and returns what the inbox says about it.
func (w *world) reaches(inbox *listen.Inbox, e events.Event, state string, failures int) listen.Entry {
	w.t.Helper()
	var entry listen.Entry
	require.Eventually(w.t, func() bool {
		var err error
		entry, err = inbox.Show(w.t.Context(), "notifications", e.ID)
		return err == nil && entry.State == state && entry.Attempts == failures
	}, 20*time.Second, 5*time.Millisecond, "event %s to be %s after %d failures", e.ID, state, failures)
	return entry
}

func (w *world) mails(subject string) []notifications.Sent {
	w.t.Helper()
	mails, err := w.service(nil).Mails(w.t.Context(), subject)
	require.NoError(w.t, err)
	return mails
}

func about(order string, payload events.Payload) events.Event {
	return eventstest.Events("orders", order, happened, payload)[0]
}

func completed(order, customer string) events.Event {
	return about(order, events.OrderCompleted{OrderID: order, CustomerID: customer, TotalMinor: 3000, Currency: "EUR"})
}

// folder is a sender with a folder of its own, and what is in it: content by file name.
func folder(t *testing.T) (notifications.Sender, func() map[string]string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data", "mails")
	sender, err := notifications.Folder(dir)
	require.NoError(t, err)
	return sender, func() map[string]string {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		content := map[string]string{}
		for _, entry := range entries {
			bytes, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			require.NoError(t, err)
			content[entry.Name()] = string(bytes)
		}
		return content
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}
