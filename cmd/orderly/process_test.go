package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/internal/testenv"
)

// binary builds the program once per run of the tests: signals never reach a program under go run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "orderly-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "orderly")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	testenv.Main(m, func() {
		if path, err := binary(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	})
}

// world is one data folder and the ports its processes use, again and again.
type world struct {
	t      *testing.T
	binary string
	data   string
	env    []string
	flags  []string // of orderly dev
	api    string
	book   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cli := testenv.TemporalCLI(t)
	path, err := binary()
	require.NoError(t, err)
	w := &world{t: t, binary: path, data: t.TempDir()}
	ports := freePorts(t, 4)
	w.api, w.book = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	w.env = append(bare(), "TEMPORAL_CLI="+cli, "ORDERLY_API_ADDR="+w.api, "ORDERLY_SANDBOX_ADDR="+w.book,
		"ORDERLY_TEMPORAL_PORT="+ports[2], "ORDERLY_TEMPORAL_UI_PORT="+ports[3],
		"ORDERLY_OPERATOR_ADDR=127.0.0.1:0",
		"ORDERLY_DRAIN_TIME=0s",          // no balancer asks for readiness but where a test is about one
		"ORDERLY_LIMIT_EXEMPT=127.0.0.1") // as under dev: all customers of a test come from one address, and many are one customer
	t.Cleanup(func() { require.Empty(t, w.processes(), "processes are left behind") })
	return w
}

// bare is the environment without anything that would replace an embedded part.
func bare() []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasSuffix(name, "_URL") && !strings.HasPrefix(name, "ORDERLY_") && !strings.HasPrefix(name, "STRIPE_") &&
			!strings.HasPrefix(name, "TEMPORAL_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// freePorts finds ports on which no process listens. They stay below the range that outgoing connections are given, so that a process
// restarted on one finds it free.
func freePorts(t *testing.T, count int) []string {
	t.Helper()
	var ports []string
	for len(ports) < count {
		port := nextPort()
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		require.NoError(t, listener.Close())
		ports = append(ports, strconv.Itoa(port))
	}
	return ports
}

var portLock sync.Mutex
var lastPort = 20000 + os.Getpid()%8000

func nextPort() int {
	portLock.Lock()
	defer portLock.Unlock()
	lastPort++
	return lastPort
}

// process is one run of orderly dev.
type process struct {
	w      *world
	cmd    *exec.Cmd
	lines  chan string
	output strings.Builder
	lock   sync.Mutex
	ended  chan struct{}
}

// start runs orderly dev and waits until it says that it is ready.
func (w *world) start() *process {
	w.t.Helper()
	p := w.launch(append([]string{"dev", "--data", w.data}, w.flags...)...)
	p.awaitReady()
	return p
}

func (p *process) awaitReady() {
	p.w.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case line := <-p.lines:
			if strings.HasPrefix(line, "Ready.") {
				return
			}
		case <-p.ended:
			require.Fail(p.w.t, "orderly dev ended before it was ready", p.printed())
		case <-deadline:
			require.Fail(p.w.t, "orderly dev is not ready after two minutes", p.printed())
		}
	}
}

func (w *world) launch(args ...string) *process {
	w.t.Helper()
	return w.launchIn(w.t.TempDir(), args...)
}

// launchIn starts the program in a process group of its own, as a terminal would.
func (w *world) launchIn(dir string, args ...string) *process {
	w.t.Helper()
	p := &process{w: w, cmd: exec.Command(w.binary, args...), lines: make(chan string, 1000), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir, p.cmd.SysProcAttr = w.env, dir, &syscall.SysProcAttr{Setpgid: true}
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(w.t, err)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, p.cmd.Start())
	var reading sync.WaitGroup
	for _, from := range []io.Reader{stdout, stderr} {
		reading.Go(func() { p.read(from) })
	}
	go func() {
		reading.Wait()
		_ = p.cmd.Wait() // the tests look at ProcessState
		close(p.ended)
	}()
	w.t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
		if w.t.Failed() {
			w.t.Log(p.printed())
		}
	})
	return p
}

func (p *process) read(from io.Reader) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.lock.Lock()
		p.output.WriteString(scanner.Text() + "\n")
		p.lock.Unlock()
		select {
		case p.lines <- scanner.Text():
		default:
		}
	}
}

func (p *process) printed() string {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.output.String()
}

// kill is kill -9: of the process alone, or of everything that belongs to the data folder at once.
func (p *process) kill(withChildren bool) {
	p.w.t.Helper()
	if withChildren {
		for _, pid := range p.w.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	_ = p.cmd.Process.Kill()
	p.wait(10 * time.Second)
}

func (p *process) wait(longest time.Duration) {
	p.w.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(longest):
		require.Fail(p.w.t, "orderly has not ended", p.printed())
	}
}

// processes are the ids of all processes that were started with this data folder. An empty list where /proc does not tell.
func (w *world) processes() []int {
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var pids []int
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(line), w.data) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// customer registers a customer at the running system.
func (w *world) customer() *demo.Client {
	w.t.Helper()
	s := demo.NewClient("http://"+w.api, "http://"+w.book)
	require.NoError(w.t, s.Register(w.t.Context(), fmt.Sprintf("c%d@example.com", nextPort()), "Ada", "correct horse battery"))
	return s
}

func (w *world) place(s *demo.Client, method string) demo.Order {
	w.t.Helper()
	order, err := s.Place(w.t.Context(), fmt.Sprintf("key-%d", nextPort()), []demo.Line{{SKU: "MUG-BLUE", Quantity: 2}}, method)
	require.NoError(w.t, err)
	return order
}

// eventually waits for condition, which may fail while things are on their way.
func eventually(t *testing.T, longest time.Duration, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, longest, 50*time.Millisecond, what)
}

// ends waits until the order has ended and every event and mail has come, and returns it.
func (w *world) ends(s *demo.Client, orderID string, events int) demo.Order {
	w.t.Helper()
	var order demo.Order
	eventually(w.t, time.Minute, "order "+orderID+" has not ended with all its events and its mail", func() bool {
		seen, err := s.Order(w.t.Context(), orderID)
		if err == nil {
			order = seen
		}
		return order.Ended() && len(order.Timeline) >= events && len(order.Mails) > 0
	})
	return order
}

// completedEvents are all events of an order that completes.
var completedEvents = []string{
	"order.created.v1", "inventory.reserved.v1", "payment.authorized.v1", "order.confirmed.v1", "payment.captured.v1", "order.completed.v1",
}

// requireCompleted checks everything that must be true of a completed order of two mugs.
func (w *world) requireCompleted(s *demo.Client, orderID string) {
	w.t.Helper()
	order := w.ends(s, orderID, len(completedEvents))
	require.Equal(w.t, "completed", order.State)
	require.Equal(w.t, completedEvents, demo.TypesOf(order))
	require.Len(w.t, order.Mails, 1)
	w.requireBook(s, orderID, sandbox.Charge{CapturedMinor: 2000, Charges: 1})
}

// requireBook compares what the provider holds, took and gave back for the order, over all it knows of it.
func (w *world) requireBook(s *demo.Client, orderID string, want sandbox.Charge) {
	w.t.Helper()
	charges, err := s.Book(w.t.Context(), orderID)
	require.NoError(w.t, err)
	var sum sandbox.Charge
	for _, c := range charges {
		sum.AuthorizedMinor += c.AuthorizedMinor
		sum.CapturedMinor += c.CapturedMinor
		sum.RefundedMinor += c.RefundedMinor
		sum.Charges += c.Charges
	}
	require.Equal(w.t, want, sum, "the provider's book of order %s: %+v", orderID, charges)
}

// hold freezes the provider at the next such call: "before" it has its effect, or "after", when only the answer is missing.
func (w *world) hold(call, when string) (id string) {
	w.t.Helper()
	body := strings.NewReader(fmt.Sprintf(`{"call":%q,"when":%q}`, call, when))
	response, err := http.Post("http://"+w.book+"/sandbox/holds", "application/json", body)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(w.t, http.StatusCreated, response.StatusCode)
	var hold struct {
		ID string `json:"id"`
	}
	require.NoError(w.t, json.NewDecoder(response.Body).Decode(&hold))
	return hold.ID
}

func (w *world) held(id string) bool {
	response, err := http.Get("http://" + w.book + "/sandbox/holds")
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	var holds []struct {
		ID    string `json:"id"`
		Taken bool   `json:"taken"`
	}
	if json.NewDecoder(response.Body).Decode(&holds) != nil {
		return false
	}
	for _, h := range holds {
		if h.ID == id {
			return h.Taken
		}
	}
	return false
}

func (w *world) release(id string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodDelete, "http://"+w.book+"/sandbox/holds/"+id, nil)
	require.NoError(w.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(w.t, err)
	require.NoError(w.t, response.Body.Close())
	require.Equal(w.t, http.StatusNoContent, response.StatusCode)
}

// lock keeps all others from writing to one service's database until the returned function is called.
func (w *world) lock(service string) (unlock func()) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.data, service+".db")+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	require.NoError(w.t, err)
	tx, err := db.BeginTx(context.Background(), nil)
	require.NoError(w.t, err)
	return sync.OnceFunc(func() {
		_ = tx.Rollback()
		_ = db.Close()
	})
}
