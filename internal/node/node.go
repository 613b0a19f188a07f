package node

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/redis/go-redis/v9"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/api"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/temporal"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/operators"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/system"
	"example.com/orderly/internal/users"
)

// Node is what one process runs of the system: one role of it, some, or all. What no role of the process needs stays nil.
type Node struct {
	process
	roles  Roles
	stores map[string]*store // by service
	system system.ID         // to which the databases belong

	// Services that the API, the product list or another service asks.
	orders        *orders.Service
	inventory     *inventory.Service
	users         *users.Cache
	operators     *operators.Service
	notifications *notifications.Service
	journal       *journal.Journal

	provider  *provider
	cache     redis.UniversalClient
	messaging messaging
	sagas     sagas
	front     *front // of the API
	desk      *front // of operators
	health    *front // nil where the API's port tells about health
	fronts    fronts
	profiles  net.Listener

	// APIAddr, OperatorAddr, HealthAddr and SandboxAddr are host:port as bound. The first two are empty in a process without the role,
	// HealthAddr is APIAddr where health has no port of its own, and SandboxAddr is empty where a provider outside is used.
	APIAddr, OperatorAddr, HealthAddr, SandboxAddr string
	// Ready is closed once every part works.
	Ready chan struct{}
}

// Options are what a command decides about a node.
type Options struct {
	Roles Roles
	// Develop makes and migrates databases at start, adds the products, and embeds a cache and a payment provider where none is named.
	Develop bool
	Log     *slog.Logger
	// Say tells the user how far the start is.
	Say func(line string)
}

// FromEnvironment reads and checks the settings.
func FromEnvironment() (config.Config, error) {
	cfg, err := config.FromEnvironment(ServiceNames())
	if err != nil {
		return cfg, err
	}
	if _, _, err = mailSettings(cfg); err != nil {
		return cfg, err
	}
	notes, err := temporal.CheckVariables(cfg.TemporalAddress)
	cfg.Notes = append(cfg.Notes, notes...)
	return cfg, err
}

// Open opens everything the roles need and that can fail for a reason the user must mend: ports, folders, databases. It waits for what
// is not up yet, and says so. Until Run only the HTTP port is served, and events and sagas wait.
func Open(ctx context.Context, cfg config.Config, o Options) (_ *Node, err error) {
	n := &Node{
		process: newProcess(cfg, o.Develop, o.Log, o.Say), roles: o.Roles, stores: map[string]*store{}, Ready: make(chan struct{}),
		sagas: sagas{activities: map[string]func(r worker.Registry){}},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.closers.Close())
		}
	}()
	for _, note := range cfg.Notes {
		n.say(note)
	}
	if n.keepsFiles() {
		lock, err := embedded.LockDir(cfg.Data)
		if err != nil {
			return nil, err
		}
		n.closers.Add(lock.Unlock)
	}
	if err := n.bind(); err != nil {
		return nil, err
	}
	if err := n.openServices(ctx); err != nil {
		return nil, err
	}
	if o.Develop {
		if err := addProducts(ctx, cfg, n.orders, n.inventory, n.say); err != nil {
			return nil, err
		}
	}
	if n.roles.useTemporal() {
		n.sagas.open(n.process, n.system, n.orders)
	}
	if err := n.messaging.open(ctx, n.process, n.system, n.roles.Names(), Subscriptions()); err != nil {
		return nil, err
	}
	n.openDoors() // the databases are there; everything else may come later
	return n, nil
}

// keepsFiles reports whether anything of this process is kept in the data folder, which one process at a time may use.
func (n *Node) keepsFiles() bool {
	return n.roles.embeddedDatabaseSetting(n.cfg) != "" || n.roles.useTemporal() && n.cfg.TemporalAddress == "" ||
		n.develop && n.cfg.EmbedsProvider()
}

// bind binds the HTTP ports, before anything else is opened: a taken port is the first thing that a user is told.
func (n *Node) bind() (err error) {
	healthApart := n.roles.healthApart(n.cfg)
	if healthApart {
		setting, addr := n.roles.HealthAddr(n.cfg)
		if n.health, err = n.openFront("health", api.NewDoor(n.log), setting, addr); err != nil {
			return err
		}
		n.HealthAddr = n.health.addr.String()
	}
	if n.roles.Has("api") {
		door := api.NewDoor(n.log)
		if healthApart {
			door = api.NewDoorWithoutHealth(n.log)
		}
		door.PublicURL = n.cfg.PublicURL
		if n.front, err = n.openFront("api", door, "ORDERLY_API_ADDR", n.cfg.APIAddr); err != nil {
			return err
		}
		n.APIAddr = n.front.addr.String()
		n.HealthAddr = cmp.Or(n.HealthAddr, n.APIAddr)
	}
	if n.roles.Has("operator") {
		n.desk, err = n.openFront("operator", api.NewDoorWithoutHealth(n.log), "ORDERLY_OPERATOR_ADDR", n.cfg.OperatorAddr)
		if err != nil {
			return err
		}
		n.OperatorAddr = n.desk.addr.String()
	}
	if n.cfg.PprofAddr != "" {
		n.profiles, err = bind(n.process, "ORDERLY_PPROF_ADDR", n.cfg.PprofAddr)
	}
	return err
}

func (n *Node) openFront(name string, door *api.Door, setting, addr string) (*front, error) {
	f, err := openFront(n.process, name, door, setting, addr)
	if err == nil {
		n.fronts = append(n.fronts, f)
	}
	return f, err
}

// openServices opens the services that the roles use, with their databases, and the payment provider that they ask.
func (n *Node) openServices(ctx context.Context) (err error) {
	if n.roles.askProvider() {
		if n.provider, err = openProvider(ctx, n.process); err != nil {
			return err
		}
		n.SandboxAddr = n.provider.sandboxAddr()
	}
	for _, s := range n.roles.services() {
		st, err := openStore(ctx, n.process, s, n.roles.require(s))
		if err != nil {
			return err
		}
		n.stores[s.Name], st.runs = st, n.roles.Has(s.Role)
	}
	if n.system, err = identify(ctx, n.process, n.roles.services(), n.stores); err != nil {
		return err
	}
	for _, s := range n.roles.services() {
		st := n.stores[s.Name]
		h, err := s.open(ctx, n, st)
		if err == nil && st.runs {
			err = n.addService(ctx, s, st, h)
		}
		if err != nil {
			return err
		}
	}
	if n.roles.Has("orders") {
		n.metrics.MustRegister(n.orders.Collector())
	}
	return nil
}

// addService adds a service that runs here to what this process does: relaying its outbox, polling for its activities, working off its
// inbox.
func (n *Node) addService(ctx context.Context, s Service, st *store, h handlers) (err error) {
	if s.Outbox {
		n.messaging.outboxes = append(n.messaging.outboxes, st.box)
	}
	if h.activities != nil {
		n.sagas.activities[s.Queue] = h.activities
	}
	if len(h.listeners) > 0 {
		st.inbox, err = listen.Open(ctx, st.db.Pool(), string(st.db.Engine()), h.listeners, listen.Options{Log: n.log})
		if err != nil {
			return err
		}
		n.messaging.inboxes = append(n.messaging.inboxes, st.inbox)
	}
	return nil
}

// TemporalUI is the URL of the web UI of a development server, once Ready; empty with a server outside.
func (n *Node) TemporalUI() string { return n.sagas.connection.WebUI() }

// Loopback reports whether only this machine reaches the API.
func (n *Node) Loopback() bool {
	bound, ok := n.front.addr.(*net.TCPAddr)
	return ok && bound.IP.IsLoopback()
}

// SignIn returns the token of a new session of the customer with this e-mail address, whom it makes first where there is none. It asks
// for no password, so callers offer it to this machine only.
func (n *Node) SignIn(ctx context.Context, email, name string) (token string, err error) {
	customer, err := n.users.EnsureCustomer(ctx, email, name)
	if err != nil {
		return "", err
	}
	token, _, err = n.users.IssueSession(ctx, customer.ID)
	return token, err
}
