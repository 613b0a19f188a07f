// Package demo plays six orders, four of which meet trouble, against a running Orderly, and checks what became of them.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"example.com/orderly/internal/money"
)

// Demo is one run of the scenarios.
type Demo struct {
	Out      io.Writer // of the results
	Progress io.Writer
	AsJSON   bool
}

// Say prints a line about how far the run is.
func (d Demo) Say(line string) { _, _ = fmt.Fprintln(d.Progress, line) }

// Run registers a customer and plays one scenario after the other. The error names everything that is not as it must be.
func (d Demo) Run(ctx context.Context, client *Client) error {
	email := fmt.Sprintf("demo-%s@example.com", uuid.NewString()[:8])
	if err := client.Register(ctx, email, "Demo Customer", uuid.NewString()); err != nil {
		return err
	}
	var outcomes []Outcome
	for _, s := range Scenarios {
		d.Say("\n" + s.name)
		o, err := s.play(ctx, client, func(event string, at time.Time) {
			d.Say("  " + at.Local().Format("15:04:05.000") + "  " + event)
		})
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
		if d.AsJSON {
			if err := json.NewEncoder(d.Out).Encode(o); err != nil {
				return err
			}
		}
	}
	if !d.AsJSON {
		if err := d.table(outcomes); err != nil {
			return err
		}
	}
	return verdict(outcomes)
}

func (d Demo) table(outcomes []Outcome) error {
	_, _ = fmt.Fprintln(d.Out)
	table := tabwriter.NewWriter(d.Out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SCENARIO\tSTATE\tREASON\tCHARGED\tSTOCK BEFORE\tAFTER\tMAILS\tEVENTS\t")
	for _, o := range outcomes {
		mark := "ok"
		if len(o.wrong) > 0 {
			mark = "WRONG"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", o.Scenario, o.State, o.Reason,
			money.Money{Minor: o.ChargedMinor, Currency: o.currency}, o.StockBefore, o.StockAfter, o.Mails, len(o.Events), mark)
	}
	return table.Flush()
}

func verdict(outcomes []Outcome) error {
	var errs []error
	for _, o := range outcomes {
		for _, wrong := range o.wrong {
			errs = append(errs, fmt.Errorf("%s (order %s): %s", o.Scenario, o.OrderID, wrong))
		}
	}
	return errors.Join(errs...)
}
