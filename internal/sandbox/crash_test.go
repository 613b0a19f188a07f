package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/sandbox"
)

// childDir makes this test binary a sandbox in a process of its own, to be killed.
const childDir = "ORDERLY_SANDBOX_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		serveUntilKilled(dir)
		return
	}
	os.Exit(m.Run())
}

func serveUntilKilled(dir string) {
	s, err := sandbox.Open(context.Background(), sandbox.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second}
	panic(server.Serve(listener))
}

// TestBookSurvivesKill9 kills a sandbox in the middle of many orders, several times over the same book. What was acknowledged
// must be there afterwards, and its key must still answer; what was not acknowledged is there wholly or not at all.
func TestBookSurvivesKill9(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	acked := &ledger{status: map[string]string{}, body: map[string]string{}}
	for round := range 4 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		address, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err, "round %d: the child did not open the book the last one left", round)
		base := "http://" + strings.TrimSpace(address)

		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for n := 0; drive(base, fmt.Sprintf("o-%d-%d-%d", round, worker, n), acked); n++ {
				}
			})
		}
		enough := acked.len() + 20 + random.IntN(60)
		require.Eventually(t, func() bool { return acked.len() >= enough }, 30*time.Second, time.Millisecond)
		require.NoError(t, child.Process.Kill())
		wg.Wait()
		_ = child.Wait() // killed
	}

	s, err := sandbox.Open(t.Context(), sandbox.Config{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	book, err := s.Book(t.Context(), "")
	require.NoError(t, err)
	rank := map[string]int{"requires_confirmation": 0, "requires_capture": 1, "succeeded": 2}
	found := map[string]bool{}
	for _, c := range book {
		require.False(t, found[c.OrderID], "order %s has two intents", c.OrderID)
		found[c.OrderID] = true
		require.GreaterOrEqual(t, rank[c.Status], rank[acked.status[c.OrderID]], "order %s lost what was acknowledged", c.OrderID)
	}
	for orderID, status := range acked.status {
		require.True(t, found[orderID] || status == "", "order %s was acknowledged and is gone", orderID)
	}
	t.Logf("%d acknowledged steps, %d intents", acked.len(), len(book))

	base := serve(t, s)
	for orderID := range acked.status {
		before := acked.body[orderID]
		require.True(t, drive(base, orderID, acked))
		if before != "" {
			require.Equal(t, before, acked.body[orderID], "the key of order %s was forgotten", orderID)
		}
		book, err := s.Book(t.Context(), orderID)
		require.NoError(t, err)
		require.Len(t, book, 1, "order %s was created without its key being saved with it", orderID)
		require.Equal(t, "succeeded", book[0].Status)
	}
}

type ledger struct {
	mu     sync.Mutex
	status map[string]string // of each order, as last acknowledged; empty if it was only tried
	body   map[string]string // the answer to its create
	steps  int
}

func (l *ledger) try(orderID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.status[orderID]; !known {
		l.status[orderID] = ""
	}
}

func (l *ledger) note(orderID, status, createBody string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps++
	l.status[orderID] = status
	if createBody != "" {
		l.body[orderID] = createBody
	}
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.steps
}

// drive takes one order to its capture and notes each acknowledgement. It returns false once the sandbox is gone.
func drive(base, orderID string, acked *ledger) bool {
	acked.try(orderID)
	status, body, err := send(base+"/v1/payment_intents", orderID+":create", createForm(orderID))
	if err != nil {
		return false
	}
	if status != http.StatusOK {
		panic(body)
	}
	acked.note(orderID, "requires_confirmation", body)
	var intent struct{ ID string }
	if err := json.Unmarshal([]byte(body), &intent); err != nil {
		panic(err)
	}
	for _, step := range [][2]string{{"confirm", "requires_capture"}, {"capture", "succeeded"}} {
		status, body, err := send(base+"/v1/payment_intents/"+intent.ID+"/"+step[0], orderID+":"+step[0], url.Values{})
		if err != nil {
			return false
		}
		if status != http.StatusOK {
			panic(body)
		}
		acked.note(orderID, step[1], "")
	}
	return true
}

func createForm(orderID string) url.Values {
	return url.Values{
		"amount": {"3000"}, "currency": {"eur"}, "capture_method": {"manual"}, "payment_method": {"pm_card_visa"}, "metadata[order_id]": {orderID},
	}
}

func send(address, key string, form url.Values) (int, string, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address, io.NopCloser(strings.NewReader(form.Encode())))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}
