package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/api"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/node/temporal"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/internal/users"
	"example.com/orderly/workers"
)

// Stack is what one process runs of the system: one role of it, some, or all. This is where everything meets: what is real and
// what is embedded is decided here and known nowhere else. What no role of the process needs stays nil.
type Stack struct {
	cfg config.Config
	log *slog.Logger
	say func(line string)
	now func() time.Time
	// develop makes and migrates databases at start, and embeds a cache and a payment provider where none is named.
	develop bool
	roles   []Role

	registry *prometheus.Registry
	open     []func() error // closers, in the order things were opened

	databases map[string]*database.DB
	late      map[string]bool // the databases that were away when they were opened
	boxes     map[string]*outbox.Outbox

	orders        *orders.Service
	inventory     *inventory.Service
	payments      *payments.Service
	users         *users.Cache
	notifications *notifications.Service
	journal       *journal.Journal
	gateway       payments.Gateway
	redis         *redis.Client // nil without a cache

	// What this process does: which outboxes it relays, which inboxes it works off, which task queues it polls.
	relayed []*outbox.Outbox
	inboxes []*listen.Inbox
	inboxOf map[string]*listen.Inbox // by service
	queues  map[string]func(r worker.Registry)

	relay     *workers.Relay
	publisher *rabbit.Publisher // nil where events are delivered in-process, like consumer
	consumer  *rabbit.Consumer
	starter   *workers.Starter
	temporal  *temporal.Connection // nil where no role talks to Temporal

	sandbox         *sandbox.Sandbox // nil where a provider outside is used
	sandboxListener net.Listener
	httpListener    net.Listener
	pprofListener   net.Listener // nil where nobody has asked for profiles
	door            *api.Door
	front           lifecycle.Serving // of the door, from when the port is bound

	// APIAddr and SandboxAddr are host:port as bound; SandboxAddr is empty where a provider outside is used.
	APIAddr, SandboxAddr string
	// Ready is closed once every part works.
	Ready chan struct{}
}

func newStack(cfg config.Config, roles []Role, develop bool, log *slog.Logger, say func(line string)) *Stack {
	return &Stack{
		cfg: cfg, log: log, say: say, now: time.Now, develop: develop, roles: roles,
		registry: prometheus.NewRegistry(), Ready: make(chan struct{}),
		databases: map[string]*database.DB{}, late: map[string]bool{}, boxes: map[string]*outbox.Outbox{},
		queues: map[string]func(worker.Registry){}, inboxOf: map[string]*listen.Inbox{},
	}
}

// Open opens everything the roles need and that can fail for a reason the user must mend: ports, folders, databases. What is
// not up yet is waited for, and said to be. Nothing runs yet.
func Open(ctx context.Context, cfg config.Config, roles []Role, develop bool, log *slog.Logger, say func(line string)) (_ *Stack, err error) {
	s := newStack(cfg, roles, develop, log, say)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if s.keepsFiles() {
		lock, err := embedded.LockDir(cfg.Data)
		if err != nil {
			return nil, err
		}
		s.open = append(s.open, lock.Unlock)
	}
	// Before anything else, so that a taken port is the first thing a user hears of.
	setting, addr := HTTPAddr(cfg, roles)
	if s.httpListener, s.APIAddr, err = s.bind(setting, addr); err != nil {
		return nil, err
	}
	if cfg.PprofAddr != "" {
		if s.pprofListener, _, err = s.bind("ORDERLY_PPROF_ADDR", cfg.PprofAddr); err != nil {
			return nil, err
		}
	}
	s.door = api.NewDoor(log)
	s.front = lifecycle.Serve(s.door.Server(), s.httpListener)
	s.open = append(s.open, s.front.Close)
	for _, role := range roles {
		if err := role.open(s, ctx); err != nil {
			return nil, err
		}
	}
	if develop {
		if err := s.seed(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.openRelay(ctx); err != nil {
		return nil, err
	}
	if usesTemporal(roles) {
		s.temporal = temporal.New(s.temporalConfig())
	}
	s.door.Open(s.api()) // the databases are there; everything else may come later
	return s, nil
}

// TemporalUI is the URL of the web UI of a development server, once Ready; empty with a server outside.
func (s *Stack) TemporalUI() string { return s.temporal.WebUI() }

// Loopback reports that only this machine reaches the API.
func (s *Stack) Loopback() bool {
	bound, ok := s.httpListener.Addr().(*net.TCPAddr)
	return ok && bound.IP.IsLoopback()
}

// SignIn makes the customer where there is none and returns the token of a session.
func (s *Stack) SignIn(ctx context.Context, email, name string) (token string, err error) {
	customer, err := s.users.EnsureCustomer(ctx, email, name)
	if err != nil {
		return "", err
	}
	token, _, err = s.users.IssueSession(ctx, customer.ID)
	return token, err
}

// keepsFiles reports whether anything of this process is kept in the data folder, which one process at a time may use.
func (s *Stack) keepsFiles() bool {
	for _, role := range s.roles {
		if s.cfg.EmbeddedDatabase(role.databases()) != "" {
			return true
		}
	}
	return usesTemporal(s.roles) && s.cfg.TemporalAddress == "" || s.develop && s.cfg.EmbedsProvider()
}

func (s *Stack) temporalConfig() temporal.Config {
	port, _ := strconv.Atoi(s.cfg.TemporalPort) // checked with the other settings
	uiPort, _ := strconv.Atoi(s.cfg.TemporalUIPort)
	cfg := temporal.Config{
		External: s.cfg.TemporalAddress != "", Namespace: s.cfg.TemporalNamespace, Prepare: s.develop, Retention: s.cfg.TemporalRetention,
		Dir: s.cfg.Data, Port: port, UIPort: uiPort, Log: s.log, Say: s.say,
	}
	if s.starter != nil {
		cfg.OnConnect = s.starter.Connect
	}
	return cfg
}

func (s *Stack) bind(setting, addr string) (net.Listener, string, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, "", fmt.Errorf("can't listen on %s (%w); choose another address with %s", addr, err, setting)
	}
	s.open = append(s.open, func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return listener, listener.Addr().String(), nil
}

// close closes what was opened, last first.
func (s *Stack) close() error {
	var errs []error
	for i := len(s.open) - 1; i >= 0; i-- {
		errs = append(errs, s.open[i]())
	}
	s.open = nil
	return errors.Join(errs...)
}
