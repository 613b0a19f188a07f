package rabbit_test

import (
	"crypto/rand"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events/rabbit"
)

// as makes a user of the broker with these rights (configure, write, read), until the test ends, and connects as that user from then on.
func (w *world) as(configure, write, read string) {
	w.t.Helper()
	at, err := url.Parse(w.cfg.URL)
	require.NoError(w.t, err)
	control := func(arguments ...string) error {
		return exec.Command("rabbitmqctl", append([]string{"-q"}, arguments...)...).Run()
	}
	if at.Port() != "" && at.Port() != "5672" || control("authenticate_user", "guest", "guest") != nil {
		w.t.Skip("not run: rabbitmqctl, with which a user is made, reaches the broker of the usual port only, and as root")
	}
	name, password := strings.ReplaceAll(w.cfg.Prefix, "_", "-"), rand.Text()
	require.NoError(w.t, control("add_user", name, password))
	w.t.Cleanup(func() { require.NoError(w.t, control("delete_user", name)) })
	require.NoError(w.t, control("set_permissions", name, configure, write, read))
	at.User = url.UserPassword(name, password)
	w.cfg.URL = at.String()
}

// Where an operator declares everything, the user of a process may have no right to.
func TestAUserWhoMayDeclareNothingUsesWhatIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	inbox, _ := w.inbox("all.db", all.Listener)
	start(t, inbox.Run)
	stop, _ := w.consume(inbox) // by a user who may
	w.send(w.publisher(all.Subscription), about("a", 1, 1)...)
	all.complete(w, []string{"a"}, 1)
	stop()

	ours := `^` + w.cfg.Prefix + `\..*`
	w.as(`^$`, ours, ours)
	publisher := w.publisher(all.Subscription)
	w.send(publisher, about("a", 2, 9)...)
	w.consume(inbox)
	all.complete(w, []string{"a"}, 9)

	missing := w.publisher(newRecorder("missing").Subscription)
	err := missing.Publish(t.Context(), about("a", 10, 10))[0]
	require.ErrorIs(t, err, rabbit.ErrSetup)
	require.ErrorContains(t, err, w.cfg.Prefix+`.missing.dead" of RabbitMQ`)
	require.ErrorContains(t, err, "is not there and user")
	require.ErrorContains(t, err, "set_permissions")
}
