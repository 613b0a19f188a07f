package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/node"
)

// deadShown bounds how many dead events of a listener are listed: so many at once share a cause, which the first ones show.
const deadShown = 100

func eventsCommand() *cobra.Command {
	dead := &cobra.Command{Use: "dead", Short: "Events a listener gave up on; works beside a running system"}
	dead.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List them, with the reason", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return withInboxes(cmd, func(inboxes map[string]*listen.Inbox) error { return listDead(cmd, inboxes) })
			},
		},
		onDead("show", "Show one, with its body", func(cmd *cobra.Command, inbox *listen.Inbox, listener, id string) error {
			entry, err := inbox.Show(cmd.Context(), listener, id)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s, %d attempts, %s\n%s\n", entry.State, entry.Attempts, entry.Reason, entry.Body)
			return err
		}),
		onDead("replay", "Handle one again, as if it had just arrived",
			func(cmd *cobra.Command, inbox *listen.Inbox, listener, id string) error {
				return inbox.Replay(cmd.Context(), listener, id)
			}),
		onDead("drop", "Give up on one for good; what waits behind it goes on",
			func(cmd *cobra.Command, inbox *listen.Inbox, listener, id string) error {
				return inbox.Drop(cmd.Context(), listener, id)
			}),
	)
	command := &cobra.Command{Use: "events", Short: "The events listeners have received"}
	command.AddCommand(dead)
	return command
}

func onDead(verb, short string, do func(cmd *cobra.Command, inbox *listen.Inbox, listener, id string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " LISTENER EVENT_ID", Short: short, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withInboxes(cmd, func(inboxes map[string]*listen.Inbox) error {
				inbox, ok := inboxes[args[0]]
				if !ok {
					var names []string
					for _, listener := range node.Subscriptions() {
						names = append(names, listener.Name)
					}
					return fmt.Errorf("there is no listener %q: it is %s", args[0], strings.Join(names, " or "))
				}
				return do(cmd, inbox, args[0], args[1])
			})
		},
	}
}

func listDead(cmd *cobra.Command, inboxes map[string]*listen.Inbox) error {
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "LISTENER\tEVENT\tTYPE\tRECEIVED\tATTEMPTS\tREASON")
	for _, listener := range slices.Sorted(maps.Keys(inboxes)) {
		entries, err := inboxes[listener].Dead(cmd.Context(), listener, deadShown)
		if err != nil {
			return err
		}
		for _, e := range entries {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n", e.Listener, e.EventID, e.Type, e.Received.Format(time.RFC3339), e.Attempts, e.Reason)
		}
	}
	return table.Flush()
}

func withInboxes(cmd *cobra.Command, do func(inboxes map[string]*listen.Inbox) error) error {
	cfg, err := node.FromEnvironment()
	if err != nil {
		return err
	}
	say := func(line string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), line) }
	return node.WithInboxes(cmd.Context(), cfg, say, do)
}
