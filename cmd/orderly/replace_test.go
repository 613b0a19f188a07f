package main

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/testenv"
)

// Each other role is replaced while orders are under way, one of them in the middle of a call to the provider: the new process first, as
// Kubernetes does, and the old one first. All orders complete, and none has waited for a time-out.
func TestReplacingARoleTimesNothingOut(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.env = append(d.env, "ORDERLY_LOG_LEVEL=debug") // tells when a process stops
	d.startAll()
	r := &replacing{deployment: d, shop: d.customer(), book: d.parts.open(t, "orders"), stops: map[string][]stopped{}}
	for _, newFirst := range []bool{true, false} {
		for _, role := range []string{"listeners", "inventory", "payments", "orders"} {
			r.replace(role, newFirst)
		}
	}
	eventually(t, 2*time.Minute, "orders are left open", func() bool { return r.count(r.book, openOrders) == 0 })
	temporal := d.dial(testenv.Temporal(t, nil))
	var timeouts []string
	for _, id := range r.placed {
		for _, out := range timeOuts(d.history(temporal, id)) {
			if r.during(out) {
				timeouts = append(timeouts, id+": "+out.what)
			} else {
				t.Logf("%s: %s, though nothing of %s was being replaced", id, out.what, out.role)
			}
		}
	}
	require.Empty(t, timeouts, "of %d orders", len(r.placed))
	require.Equal(t, len(r.placed), r.count(r.book, `SELECT count(*) FROM orders WHERE state = 'completed'`))
	journal, mails := d.parts.open(t, "journal"), d.parts.open(t, "notifications")
	eventually(t, time.Minute, "a listener has lost an order's end", func() bool {
		return r.count(journal, `SELECT count(*) FROM journal WHERE event_type = 'order.completed.v1'`) == len(r.placed) &&
			r.count(mails, `SELECT count(*) FROM mails WHERE template = 'order.completed'`) == len(r.placed)
	})
	d.stop(append(node.AllRoles().Names(), "sandbox")...)
}

const openOrders = `SELECT count(*) FROM orders WHERE state IN ('pending', 'confirmed')`

// replacing is a deployment whose roles are replaced under load.
type replacing struct {
	*deployment
	shop   *demo.Client
	book   *database.DB
	placed []string
	stops  map[string][]stopped
}

// stopped is when a process was told to stop and when it had ended.
type stopped struct{ told, ended time.Time }

func (r *replacing) replace(role string, newFirst bool) {
	r.t.Helper()
	old, hold := r.running[role], r.hold("capture", "before")
	r.health[role] = "127.0.0.1:" + freePorts(r.t, 1)[0]
	if newFirst {
		r.start(role)
	}
	const clients, each = 5, 5
	var placing sync.WaitGroup
	ids := make(chan string, clients*each)
	for n := range clients {
		placing.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%s-%v-%d-%d", role, newFirst, n, i)
				order, err := r.shop.Place(r.t.Context(), key, []demo.Line{{SKU: "MUG-BLUE", Quantity: 1}}, "pm_card_visa")
				if err == nil {
					ids <- order.ID
				}
			}
		})
	}
	eventually(r.t, time.Minute, "no orders are under way", func() bool { return len(ids) > clients*each/2 && r.held(hold) })
	told := time.Now()
	require.NoError(r.t, old.cmd.Process.Signal(syscall.SIGTERM))
	r.t.Logf("%d orders are under way when %s is told to stop", r.count(r.book, openOrders), role)
	eventually(r.t, time.Minute, role+" does not begin to stop", func() bool { return strings.Contains(old.printed(), "msg=stopping") })
	r.release(hold)
	old.wait(time.Minute)
	r.stops[role] = append(r.stops[role], stopped{told, time.Now()})
	require.Equal(r.t, 0, old.cmd.ProcessState.ExitCode(), old.printed())
	if !newFirst {
		r.start(role)
	}
	placing.Wait()
	close(ids)
	require.Len(r.t, ids, clients*each, "an order was refused")
	for id := range ids {
		r.placed = append(r.placed, id)
	}
}

func (r *replacing) count(in *database.DB, query string) (count int) {
	r.t.Helper()
	require.NoError(r.t, in.Get(r.t.Context(), &count, query))
	return count
}

// timeOut is a task that a process took and did not answer in time.
type timeOut struct {
	role, what string
	at         time.Time
}

// timeOuts are what timed out in a history: workflow tasks, but for those that waited for a sticky queue, and attempts of activities.
func timeOuts(past *history.History) (found []timeOut) {
	names := map[int64]string{}
	add := func(event *history.HistoryEvent, what, by string) {
		role, _, _ := strings.Cut(what, ".") // of an activity this is its service
		for _, s := range node.Services {
			if s.Name == role {
				role = s.Role
			}
		}
		at := event.GetEventTime().AsTime()
		found = append(found, timeOut{role, what + " timed out before " + at.Format(time.StampMilli) + by, at})
	}
	for _, event := range past.GetEvents() {
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			names[event.GetEventId()] = scheduled.GetActivityType().GetName()
		}
		if out := event.GetWorkflowTaskTimedOutEventAttributes(); out != nil && out.GetTimeoutType() != enums.TIMEOUT_TYPE_SCHEDULE_TO_START {
			add(event, "orders.workflow", "")
		}
		if out := event.GetActivityTaskTimedOutEventAttributes(); out != nil {
			add(event, names[out.GetScheduledEventId()], "")
		}
		if began := event.GetActivityTaskStartedEventAttributes(); began.GetLastFailure().GetTimeoutFailureInfo() != nil {
			add(event, names[began.GetScheduledEventId()], " and was begun again by "+began.GetIdentity())
		}
	}
	return found
}

// taskTime is how long a task is waited for at most, and an attempt's first pause.
const taskTime = 12 * time.Second

// during reports whether the task was taken while a process of its role was being replaced. On a busy machine the development server loses one
// now and then while nothing stops.
func (r *replacing) during(out timeOut) bool {
	for _, stop := range r.stops[out.role] {
		if out.at.After(stop.told) && out.at.Add(-taskTime).Before(stop.ended) {
			return true
		}
	}
	return false
}
