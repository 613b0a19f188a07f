package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/notifications/smtp/smtptest"
	"example.com/orderly/internal/testenv"
)

var clockMails = flag.Int("mails", 60, "how many mails TestClocks has sent")

// skewVariable is by how many seconds the clock of a process of skewedBinary is ahead.
const skewVariable = "SKEWED_CLOCK_SECONDS"

// skewedBinary builds the program with a package time whose wall clock is off. The passing of time stays as it is, as where a clock is set wrong.
func skewedBinary(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	dir, lib := t.TempDir(), filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	original, err := os.ReadFile(filepath.Join(lib, "time.go"))
	require.NoError(t, err)
	const read = "\tsec, nsec, mono := runtimeNow()\n"
	require.Equal(t, 1, strings.Count(string(original), read), "time.Now of %s is another one: adapt this", runtime.Version())
	overlay := map[string]string{}
	for name, text := range map[string]string{
		"time.go": strings.Replace(string(original), read, read+"\tsec += skew\n", 1),
		"skew.go": `package time

import "syscall"

var skew = func() (seconds int64) {
	text, _ := syscall.Getenv("` + skewVariable + `")
	sign := int64(1)
	for _, c := range []byte(text) {
		if c == '-' {
			sign = -1
		} else {
			seconds = 10*seconds + int64(c-'0')
		}
	}
	return sign * seconds
}()
`,
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		overlay[filepath.Join(lib, name)] = path
	}
	encoded, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), encoded, 0o600))
	path := filepath.Join(dir, "orderly")
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// Two processes of each role run whose clocks are two hours apart, and a mail server takes six seconds for a mail. The listeners that are ahead
// are killed midway. Each mail is sent once, within five seconds of its event, but for those that the killed process had under way: they are
// sent a second time when its lease has ended.
func TestClocks(t *testing.T) {
	t.Parallel()
	const (
		late  = 5 * time.Second
		lease = 70 * time.Second // the time-out of an attempt at a mail, and five seconds
	)
	parts := newRealParts(t)
	d := newDeploymentOn(t, parts)
	d.binary = skewedBinary(t)
	server := smtptest.New(t)
	server.Slow = 6 * time.Second
	apis := d.startApart(server)

	inbox := parts.open(t, "notifications")
	placing := mails{t: t, apis: apis}
	// Two processes hand over sixteen mails in six seconds, and one of them eight.
	placing.place(*clockMails*4/5, 500*time.Millisecond)
	d.kill("ahead.listeners")
	killed := time.Now()
	placing.place(*clockMails-placing.placed, time.Second)
	eventually(t, lease+time.Minute, "not every mail is sent", func() bool {
		var done int
		return inbox.Get(t.Context(), &done, `SELECT COUNT(*) FROM inbox WHERE listener = 'notifications' AND state = 'done'`) == nil &&
			done == *clockMails+len(apis)
	})
	requireSentOnce(t, inbox, server, killed, late, lease)
}

// startApart starts the sandbox and two processes of each role, an hour ahead and an hour behind, and returns a customer of each API.
func (d *deployment) startApart(server *smtptest.Server) (customers []*demo.Client) {
	d.t.Helper()
	d.start("sandbox")
	for name, seconds := range map[string]string{"ahead": "3600", "behind": "-3600"} {
		own := *d.world
		own.api = "127.0.0.1:" + freePorts(d.t, 1)[0]
		for _, role := range node.AllRoles().Names() {
			own.env = append(append([]string{}, d.env...), skewVariable+"="+seconds, "ORDERLY_API_ADDR="+own.api,
				"ORDERLY_HEALTH_ADDR=127.0.0.1:"+freePorts(d.t, 1)[0], "SMTP_URL="+server.URL()+"?tls=none&hello="+name+".example.com")
			d.running[name+"."+role] = own.launch("serve", role)
		}
		for _, role := range node.AllRoles().Names() {
			p := d.running[name+"."+role]
			eventually(d.t, time.Minute, name+"."+role+" does not come up", func() bool { return strings.Contains(p.printed(), "msg=ready") })
		}
		customers = append(customers, own.customer())
	}
	return customers
}

// mails places orders, each of which ends with a mail.
type mails struct {
	t      *testing.T
	apis   []*demo.Client
	placed int
}

func (m *mails) place(count int, every time.Duration) {
	m.t.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var placing sync.WaitGroup
	for range count {
		n := m.placed
		m.placed++
		placing.Go(func() {
			_, err := m.apis[n%len(m.apis)].Place(m.t.Context(), fmt.Sprintf("mail-%d", n), []demo.Line{{SKU: "MUG-BLUE", Quantity: 1}}, "pm_card_visa")
			if err != nil {
				m.t.Errorf("order %d: %v", n, err)
			}
		})
		<-tick.C
	}
	placing.Wait()
}

// requireSentOnce holds what the mail server took against the inbox.
func requireSentOnce(t *testing.T, inbox *database.DB, server *smtptest.Server, killed time.Time, late, lease time.Duration) {
	t.Helper()
	var events []struct {
		ID   string `db:"event_id"`
		Body string `db:"body"`
	}
	require.NoError(t, inbox.Select(t.Context(), &events, `SELECT event_id, body FROM inbox WHERE listener = 'notifications'`))
	sent := map[string][]smtptest.Taken{}
	for _, taken := range server.Taken() {
		message, err := mail.ReadMessage(strings.NewReader(taken.Mail))
		require.NoError(t, err)
		id, _, _ := strings.Cut(strings.Trim(message.Header.Get("Message-Id"), "<>"), "@")
		sent[id] = append(sent[id], taken)
	}
	require.Len(t, sent, len(events))

	off := time.Until(testenv.ServerTime(t, inbox)) // events are dated by the server's clock
	var twice int
	var latest, again time.Duration
	for _, event := range events {
		var about struct {
			Time time.Time `json:"time"`
		}
		require.NoError(t, json.Unmarshal([]byte(event.Body), &about))
		copies := sent[strings.ReplaceAll(event.ID, "/", ".")]
		require.NotEmpty(t, copies, "no mail about %s", event.ID)
		latest = max(latest, copies[0].At.Add(off).Sub(about.Time))
		inFlight := copies[0].From == "ahead.example.com" && copies[0].At.Before(killed) && copies[0].At.After(killed.Add(-server.Slow-time.Second))
		if len(copies) == 1 && !inFlight {
			continue
		}
		require.True(t, inFlight, "%s was sent %d times, and was not under way when the process was killed", event.ID, len(copies))
		require.LessOrEqual(t, len(copies), 2, "%s", event.ID)
		if len(copies) == 2 {
			twice++
			again = max(again, copies[1].At.Sub(copies[0].At))
		}
	}
	t.Logf("%d mails, %d of them under way at the kill and sent again %s later at most; the latest mail came %s after its event",
		len(events), twice, again.Round(10*time.Millisecond), latest.Round(10*time.Millisecond))
	require.LessOrEqual(t, twice, 8, "a process has eight mails under way")
	require.LessOrEqual(t, again, lease+late)
	require.LessOrEqual(t, latest, late)
}
