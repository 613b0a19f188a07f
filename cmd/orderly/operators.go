package main

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/node"
	"example.com/orderly/internal/operators"
)

func operatorsCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "operators", Short: "Those who look after the system",
		Long: "Add, list, reset and remove operators, who log in at the operators' port (ORDERLY_OPERATOR_ADDR). Each of these writes into the\n" +
			"audit who did it. Only the users database is needed: DATABASE_URL or USERS_DATABASE_URL. Works beside a running system.",
	}
	command.AddCommand(addOperatorCommand(), listOperatorsCommand(), resetOperatorCommand(), removeOperatorCommand())
	return command
}

func addOperatorCommand() *cobra.Command {
	var given operators.NewOperator
	var role string
	command := &cobra.Command{
		Use: "add EMAIL", Short: "Add an operator, and print a temporary password", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given.Email, given.Role = args[0], operators.Role(role)
			if given.Name == "" {
				given.Name, _, _ = strings.Cut(args[0], "@")
			}
			return withOperators(cmd, func(s *operators.Service) error {
				added, temporary, err := s.Add(cmd.Context(), onThisMachine(), given)
				if err != nil {
					return err
				}
				return printTemporary(cmd.OutOrStdout(), "Added", added, temporary)
			})
		},
	}
	command.Flags().StringVar(&given.Name, "name", "", "how the operator is called (default: what stands before the @)")
	command.Flags().StringVar(&role, "role", string(operators.RoleOperator), "operator, or admin: one who may remove operators, too")
	return command
}

func resetOperatorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reset EMAIL", Short: "Take an operator's password, second factor and sessions, and print a temporary password",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withOperators(cmd, func(s *operators.Service) error {
				found, temporary, err := s.Reset(cmd.Context(), onThisMachine(), args[0])
				if err != nil {
					return err
				}
				return printTemporary(cmd.OutOrStdout(), "Reset", found, temporary)
			})
		},
	}
}

func removeOperatorCommand() *cobra.Command {
	var force bool
	command := &cobra.Command{
		Use: "remove EMAIL", Short: "Remove an operator; what they are logged in with ends at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withOperators(cmd, func(s *operators.Service) error {
				removed, err := s.Remove(cmd.Context(), onThisMachine(), "", args[0], force)
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "Removed %s.\n", removed.Email)
				}
				return err
			})
		},
	}
	command.Flags().BoolVar(&force, "force", false, "also the only admin")
	return command
}

func listOperatorsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the operators", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withOperators(cmd, func(s *operators.Service) error {
				all, err := s.List(cmd.Context())
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
				_, _ = fmt.Fprintln(table, "EMAIL\tNAME\tROLE\tADDED\tSECOND FACTOR")
				for _, o := range all {
					factor := "set up"
					if !o.Enrolled {
						factor = "to be set up by " + o.TemporaryUntil.Format(time.RFC3339)
					}
					_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", o.Email, o.Name, o.Role, o.CreatedAt.Format(time.RFC3339), factor)
				}
				return table.Flush()
			})
		},
	}
}

func printTemporary(out io.Writer, done string, of operators.Operator, temporary string) error {
	_, err := fmt.Fprintf(out, "%s %s (%s).\nTemporary password, shown this once and good until %s:\n\n    %s\n\n"+
		"It opens nothing but the way to an own password and a second factor: docs/operations.md, \"Operators\".\n",
		done, of.Email, of.Role, of.TemporaryUntil.Format(time.RFC3339), temporary)
	return err
}

// onThisMachine is the user who runs the program. A container need not know its user by name.
func onThisMachine() operators.Actor {
	who := fmt.Sprintf("cli:uid-%d", os.Getuid())
	if known, err := user.Current(); err == nil && known.Username != "" {
		who = "cli:" + known.Username
	}
	return operators.Actor{Who: who, Door: "cli"}
}

func withOperators(cmd *cobra.Command, do func(s *operators.Service) error) error {
	cfg, err := node.FromEnvironment()
	if err != nil {
		return err
	}
	say := func(line string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), line) }
	return node.WithOperators(cmd.Context(), cfg, say, do)
}
